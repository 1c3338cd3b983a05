"""Speech faster or slower at the same pitch, by FFmpeg's WSOLA filter (atempo)."""

from __future__ import annotations

from fractions import Fraction

from av.audio.frame import AudioFrame
from av.error import BlockingIOError, EOFError
from av.filter import Graph

from serve_app.audio.resample import frame_pcm, pcm_frame

_SLOWEST = 0.5
"""What the filter does in one step."""


class Tempo:
    """One stream of int16 mono PCM of `rate` Hz, spoken `speed` times as fast (0.25 to 4)."""

    def __init__(self, rate: int, speed: float) -> None:
        self._rate = rate
        self._taken = 0
        self._graph = Graph()
        layout = {"sample_rate": str(rate), "sample_fmt": "s16", "channel_layout": "mono"}
        nodes = [self._graph.add("abuffer", time_base=f"1/{rate}", **layout)]
        while speed < _SLOWEST:
            nodes.append(self._graph.add("atempo", str(_SLOWEST)))
            speed /= _SLOWEST
        nodes.append(self._graph.add("atempo", f"{speed:.4f}"))
        nodes.append(self._graph.add("aformat", sample_fmts="s16", channel_layouts="mono"))
        nodes.append(self._graph.add("abuffersink"))
        self._graph.link_nodes(*nodes).configure()

    def push(self, pcm: bytes) -> bytes:
        """What the next samples add to the output; some are held back."""
        if not pcm:
            return b""
        frame = pcm_frame(pcm, self._rate)
        frame.pts = self._taken
        frame.time_base = Fraction(1, self._rate)
        self._taken += frame.samples
        self._graph.push(frame)
        return self._pulled()

    def finish(self) -> bytes:
        """The samples still held back. It is not used after."""
        self._graph.push(None)
        return self._pulled()

    def _pulled(self) -> bytes:
        pcm = b""
        while True:
            try:
                frame = self._graph.pull()
            except (BlockingIOError, EOFError):
                return pcm
            assert isinstance(frame, AudioFrame)
            pcm += frame_pcm(frame)
