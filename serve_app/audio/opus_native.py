"""Opus through opuslib and the system's libopus. Import it only where `native_available()`."""

from __future__ import annotations

import ctypes
import warnings
from typing import Protocol, cast

from deployments.contracts import SPEECH_RATE
from serve_app.audio.codecs import MAX_PACKET_MS, PACKET_MS, bad_packet, check_packet
from serve_app.audio.pcm import BYTES_PER_SAMPLE

with warnings.catch_warnings():
    # opuslib 3.0.1 compares integers with `is`, for which Python warns when it compiles the file.
    warnings.simplefilter("ignore", SyntaxWarning)
    import opuslib  # pyright: ignore[reportMissingTypeStubs]
    import opuslib.api.encoder  # pyright: ignore[reportMissingTypeStubs]
    from opuslib.exceptions import OpusError  # pyright: ignore[reportMissingTypeStubs]


class _Decoder(Protocol):
    def decode(self, opus_data: bytes, frame_size: int) -> bytes: ...


class _Encoder(Protocol):
    bitrate: int

    def encode(self, pcm_data: bytes, frame_size: int) -> bytes: ...


class NativeDecoder:
    """OpusDecoder over libopus, which decodes straight to 16 kHz mono."""

    _MAX_SAMPLES = SPEECH_RATE * MAX_PACKET_MS // 1000

    def __init__(self) -> None:
        self._decoder = cast("_Decoder", opuslib.Decoder(SPEECH_RATE, 1))

    def decode(self, packet: bytes) -> bytes:
        """See OpusDecoder."""
        check_packet(packet)
        try:
            return self._decoder.decode(packet, self._MAX_SAMPLES)
        except OpusError as error:
            raise bad_packet() from error


class NativeEncoder:
    """OpusEncoder over libopus, tuned for speech."""

    def __init__(self, rate: int, bitrate: int) -> None:
        _declare_variadic_control()
        self._frame_samples = rate * PACKET_MS // 1000
        self._encoder = cast("_Encoder", opuslib.Encoder(rate, 1, "voip"))
        self._encoder.bitrate = bitrate

    def encode(self, frame: bytes) -> bytes:
        """See OpusEncoder."""
        if len(frame) != self._frame_samples * BYTES_PER_SAMPLE:
            raise ValueError(f"not {PACKET_MS} ms: {len(frame)} bytes")
        return self._encoder.encode(frame, self._frame_samples)


def _declare_variadic_control() -> None:
    # opus_encoder_ctl is variadic and opuslib declares no argument of it: on Apple's ARM the
    # bitrate would be read from the wrong place.
    encoder = opuslib.api.encoder
    encoder.libopus_ctl.argtypes = (encoder.EncoderPointer, ctypes.c_int)
