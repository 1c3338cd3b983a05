"""G.711 (ITU-T), mu-law and A-law: one byte a sample, by tables that FFmpeg fills.

The companding laws are FFmpeg's (PyAV), because they are not our business; as tables they cost
one look-up a sample, where a codec context costs a frame object a message.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, Protocol, TypeAlias, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.stream import Stream
from numpy.typing import NDArray

from serve_app.audio.resample import frame_pcm, pcm_frame

Law: TypeAlias = Literal["mulaw", "alaw"]

RATE = 8_000
"""Sample rate of telephony, in Hz."""


def decode(law: Law, data: bytes) -> bytes:
    """int16 mono PCM of G.711 bytes; every byte is a sample."""
    return _from_law(law)[np.frombuffer(data, np.uint8)].tobytes()


def encode(law: Law, pcm: bytes) -> bytes:
    """G.711 bytes of int16 mono PCM."""
    return _to_law(law)[np.frombuffer(pcm, "<u2")].tobytes()


class _Context(Protocol):
    """PyAV's types leave a packet's stream open; ours has none, but must be spelled."""

    def decode(self, packet: av.Packet[Stream]) -> list[AudioFrame]: ...

    def encode(self, frame: AudioFrame | None) -> list[av.Packet[Stream]]: ...


@cache
def _from_law(law: Law) -> NDArray[np.int16]:
    """The sample of every byte."""
    [frame] = _context(law, "r").decode(av.Packet(bytes(range(256))))
    return np.frombuffer(frame_pcm(frame), "<i2")


@cache
def _to_law(law: Law) -> NDArray[np.uint8]:
    """The byte of every sample, by its bits as an unsigned number."""
    context = _context(law, "w")
    every_sample = np.arange(1 << 16, dtype="<u2").tobytes()
    packets = [*context.encode(pcm_frame(every_sample, RATE)), *context.encode(None)]
    return np.frombuffer(b"".join(map(bytes, packets)), np.uint8)


def _context(law: Law, mode: Literal["r", "w"]) -> _Context:
    context = av.CodecContext.create("pcm_mulaw" if law == "mulaw" else "pcm_alaw", mode)
    assert isinstance(context, AudioCodecContext)
    context.sample_rate = RATE
    context.layout = "mono"
    if mode == "w":
        context.format = "s16"
    return cast("_Context", context)
