"""A microphone's level as a line of text, and whether it hears a voice. Pure."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from clients.loudness import SILENCE_DBFS, NoiseFloor, level_dbfs

Hears: TypeAlias = Literal["voice", "quiet", "echo"]

FRAMES_A_LINE: Final = 5
"""Ten lines a second: more than the eye wants."""

_CELLS: Final = 20
_LEAST_DBFS, _MOST_DBFS = -60.0, -6.0
_VOICE_ABOVE_NOISE_DB: Final = 12.0
_HANGOVER_FRAMES: Final = 15
"""A word's quiet end, and the pauses inside it, are voice too."""


class LevelMeter:
    """One microphone's. Frames have 20 ms."""

    def __init__(self) -> None:
        self.hears: Hears = "quiet"
        """What the last frame was."""
        self._noise = NoiseFloor()
        self._voice_for = 0
        self._loudest = SILENCE_DBFS
        self._frames = 0

    def push(self, pcm: bytes, *, echo: bool = False) -> str | None:
        """The next frame, and whether it is the loudspeaker's echo; a new line where one is due."""
        level = level_dbfs(pcm)
        self._judge(level, echo)
        self._loudest = max(self._loudest, level)
        self._frames += 1
        if self._frames % FRAMES_A_LINE:
            return None
        line = f"[{_bar(self._loudest)}] {self.hears}"
        self._loudest = SILENCE_DBFS
        return line

    def _judge(self, level: float, echo: bool) -> None:
        if echo:
            self.hears, self._voice_for = "echo", 0
            return
        if level > self._noise.dbfs + _VOICE_ABOVE_NOISE_DB:
            self._voice_for = _HANGOVER_FRAMES
        else:
            self._voice_for = max(0, self._voice_for - 1)
        self._noise.follow(level)
        self.hears = "voice" if self._voice_for else "quiet"


def _bar(dbfs: float) -> str:
    share = (dbfs - _LEAST_DBFS) / (_MOST_DBFS - _LEAST_DBFS)
    cells = min(_CELLS, max(0, round(share * _CELLS)))
    return "#" * cells + "-" * (_CELLS - cells)
