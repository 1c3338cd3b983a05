"""Raw Opus packets both ways, through PyAV: its wheels carry libopus, so nothing is installed."""

from __future__ import annotations

from typing import Final, Literal, Protocol, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.error import InvalidDataError
from av.stream import Stream

FRAME_MS: Final = 20
"""Audio in a packet that this encoder makes."""

DECODED_RATE: Final = 48_000
"""Sample rate of everything decoded, in Hz."""

ENCODER_RATES: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Sample rates that Opus encodes, in Hz."""

_BIT_RATE = 24_000


class BadPacket(ValueError):
    """A packet that is not Opus."""


class _Encoder(Protocol):
    """PyAV's types leave a packet's stream open; these packets have none, but it must be named."""

    def encode(self, frame: AudioFrame) -> list[av.Packet[Stream]]: ...


class _Decoder(Protocol):
    def decode(self, packet: av.Packet[Stream]) -> list[AudioFrame]: ...

    def flush_buffers(self) -> None: ...


class OpusEncoder:
    """Int16 mono samples at one rate → packets of 20 ms."""

    def __init__(self, rate: int) -> None:
        """`rate` is one of ENCODER_RATES. Raises ValueError."""
        if rate not in ENCODER_RATES:
            raise ValueError(f"Opus encodes {ENCODER_RATES} Hz, not {rate}")
        context = _context("w", rate)
        context.bit_rate = _BIT_RATE
        context.options = {"application": "voip", "frame_duration": str(FRAME_MS)}
        self._context = cast("_Encoder", context)
        self._rate = rate
        self._frame_bytes = rate * FRAME_MS // 1000 * 2
        self._pending = b""
        self._samples_in = 0

    def encode(self, pcm: bytes) -> list[bytes]:
        """The packets that are full; the rest waits for the next call."""
        self._pending += pcm
        packets: list[bytes] = []
        while len(self._pending) >= self._frame_bytes:
            frame = self._pending[: self._frame_bytes]
            self._pending = self._pending[self._frame_bytes :]
            packets += self._encode_frame(frame)
        return packets

    def _encode_frame(self, pcm: bytes) -> list[bytes]:
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.sample_rate = self._rate
        frame.pts = self._samples_in
        self._samples_in += frame.samples
        frame.planes[0].update(pcm)
        return [bytes(packet) for packet in self._context.encode(frame)]


class OpusDecoder:
    """Packets → int16 mono samples at 48 kHz."""

    def __init__(self) -> None:
        """A decoder for one stream of packets."""
        self._context = cast("_Decoder", _context("r", DECODED_RATE))

    def decode(self, packet: bytes) -> bytes:
        """The packet's samples. Raises BadPacket; the decoder stays usable."""
        if not packet:  # FFmpeg takes an empty packet for the end of the stream
            raise BadPacket("an empty packet")
        try:
            frames = self._context.decode(av.Packet(packet))
        except (InvalidDataError, EOFError) as error:
            # After EOFError the context takes the stream for ended, until it is flushed.
            self._context.flush_buffers()
            raise BadPacket(f"{len(packet)} bytes that are not an Opus packet") from error
        return b"".join(bytes(frame.planes[0])[: frame.samples * 2] for frame in frames)


def _context(mode: Literal["r", "w"], rate: int) -> AudioCodecContext:
    context = av.CodecContext.create("libopus", mode)
    context.sample_rate = rate
    context.layout = "mono"
    context.format = "s16"
    return context
