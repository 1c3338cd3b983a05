"""Raw Opus packets both ways: the interface, its limits, and which library stands behind it.

opuslib is used where the system has libopus: it decodes straight to 16 kHz. PyAV, which bundles
a libopus of its own, is used everywhere else. Both are bindings of the same C library.
"""

from __future__ import annotations

from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from typing import Protocol

from serve_app.errors import PeerError

PACKET_MS = 20
"""Length of every packet we encode."""
MAX_PACKET_MS = 120
"""The longest packet that RFC 6716 allows; the libraries refuse longer ones."""
MAX_PACKET_BYTES = 8192
"""Over twice what 120 ms take at Opus' highest bitrate (510 kbit/s)."""
LOOKAHEAD_MS = 6.5
"""How much later than its input an encoder's sound comes out of a decoder."""
COMPLEXITY = 5
"""Encoding effort, 0 to 10: 40 % less CPU than the default of 9, at the same bitrate."""
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
"""The rates that Opus encodes, in Hz."""


class OpusDecoder(Protocol):
    """One stream's decoder."""

    def decode(self, packet: bytes) -> bytes:
        """The packet's audio: int16 mono PCM at 16 kHz, at most 120 ms; stereo is mixed down.

        Raises PeerError `invalid_audio` (the message is dropped, the stream goes on).
        """
        ...


class OpusEncoder(Protocol):
    """One stream's encoder."""

    def encode(self, frame: bytes) -> bytes:
        """The packet of exactly 20 ms of int16 mono PCM at the encoder's rate."""
        ...


def new_decoder() -> OpusDecoder:
    """A decoder for a new stream."""
    if native_available():
        from serve_app.audio.opus_native import NativeDecoder

        return NativeDecoder()
    from serve_app.audio.opus_pyav import PyavDecoder

    return PyavDecoder()


def new_encoder(rate: int = 24_000, bitrate: int = 32_000) -> OpusEncoder:
    """An encoder for a new stream; `rate` one of OPUS_RATES, `bitrate` in bits a second."""
    if rate not in OPUS_RATES:
        raise ValueError(f"Opus has no sample rate {rate}")
    if native_available():
        from serve_app.audio.opus_native import NativeEncoder

        return NativeEncoder(rate, bitrate)
    from serve_app.audio.opus_pyav import PyavEncoder

    return PyavEncoder(rate, bitrate)


@cache
def native_available() -> bool:
    """Whether opuslib can be used here. It raises a bare Exception on import without libopus."""
    return find_spec("opuslib") is not None and find_library("opus") is not None


def check_packet(packet: bytes) -> None:
    """Raises PeerError `invalid_audio` for sizes no decoder should see.

    An empty packet would make libopus invent audio for a loss, and ends FFmpeg's stream.
    """
    if not packet:
        raise PeerError("invalid_audio", "An Opus packet may not be empty.")
    if len(packet) > MAX_PACKET_BYTES:
        raise PeerError(
            "invalid_audio",
            f"An Opus packet of {len(packet)} bytes is over the limit of {MAX_PACKET_BYTES}.",
        )


def bad_packet() -> PeerError:
    """The error for a packet that the decoder refused."""
    return PeerError("invalid_audio", "The message is not a valid Opus packet.")
