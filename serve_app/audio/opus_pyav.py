"""Opus through PyAV, which bundles FFmpeg and libopus: works on any machine."""

from __future__ import annotations

from typing import Protocol, cast

import av
from av.audio.frame import AudioFrame
from av.error import InvalidDataError
from av.stream import Stream

from deployments.contracts import SPEECH_RATE
from serve_app.audio.codecs import COMPLEXITY, PACKET_MS, bad_packet, check_packet
from serve_app.audio.pcm import BYTES_PER_SAMPLE
from serve_app.audio.resample import Resampler, frame_pcm, pcm_frame

_DECODED_RATE = 48_000
"""FFmpeg decodes Opus at this rate only."""


class _Decoder(Protocol):
    """PyAV's types leave a packet's stream open; ours has none, but must be spelled."""

    def decode(self, packet: av.Packet[Stream]) -> list[AudioFrame]: ...

    def flush_buffers(self) -> None: ...


class _Encoder(Protocol):
    def encode(self, frame: AudioFrame) -> list[av.Packet[Stream]]: ...


class PyavDecoder:
    """OpusDecoder over FFmpeg; the resampler behind it adds 1 ms of delay."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "r")
        context.sample_rate = _DECODED_RATE
        context.layout = "mono"
        context.open()
        self._context = cast("_Decoder", context)
        self._resampler = Resampler(_DECODED_RATE, SPEECH_RATE)

    def decode(self, packet: bytes) -> bytes:
        """See OpusDecoder."""
        check_packet(packet)
        try:
            frames = self._context.decode(av.Packet(packet))
        except InvalidDataError as error:
            raise bad_packet() from error
        except EOFError as error:
            # The context takes the stream for ended until it is flushed.
            self._context.flush_buffers()
            raise bad_packet() from error
        return self._resampler.push(b"".join(map(frame_pcm, frames)))


class PyavEncoder:
    """OpusEncoder over FFmpeg, tuned for speech."""

    def __init__(self, rate: int, bitrate: int) -> None:
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate = rate
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = bitrate
        context.options = {
            "application": "voip",
            "frame_duration": str(PACKET_MS),
            "compression_level": str(COMPLEXITY),
        }
        context.open()
        self._context = cast("_Encoder", context)
        self._rate = rate
        self._frame_bytes = rate * PACKET_MS // 1000 * BYTES_PER_SAMPLE

    def encode(self, frame: bytes) -> bytes:
        """See OpusEncoder."""
        if len(frame) != self._frame_bytes:
            raise ValueError(f"not {PACKET_MS} ms: {len(frame)} bytes")
        [packet] = self._context.encode(pcm_frame(frame, self._rate))
        return bytes(packet)
