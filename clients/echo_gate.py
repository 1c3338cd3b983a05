"""Whether a microphone beside a loudspeaker hears a person, or the reply that is played. Pure.

How loud a reply is played tells how loud its echo can be, once it is known how much comes back.
What is louder is a person who talks over it, and is sent; what is not is sent as silence. Nothing
is known of the echo but its level: a person who is no louder than it is not heard. Headphones, or
a system that cancels echo, do better.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from clients.loudness import SILENCE_DBFS, NoiseFloor, level_dbfs

HANGOVER_S: Final = 0.3
"""A person who was heard goes on being heard for so long: words end quietly."""

ECHO_S: Final = 0.3
"""What was played comes back for so long: a room, and buffers that no sound card tells of."""

_PLAYED_DBFS: Final = -45.0
"""What is played below that comes back as nothing."""

_ABOVE_NOISE_DB: Final = 6.0
_ABOVE_ECHO_DB: Final = 6.0
"""A frame that is louder than noise, and than any echo of late, by so much is a person's."""

_RISE_DB: Final = 0.5
"""The most that a frame raises what is known of the echo: the first of a word are not loud yet."""

_OPENS: Final = 2
"""Frames in a row; one alone is a click."""

_LEARNS: Final = 25
_REMEMBERS: Final = 100
"""Frames over a reply: before the first that can be a person's, and those that count."""

_DOUBTS: Final = 50.0
_TRUST: Final = 0.1
"""A person who talks over a reply ends it. Where so many frames were louder while it went on, it
is the echo that is louder now: somebody turned it up. Each other frame takes `_TRUST` off that."""


@dataclass(frozen=True, slots=True)
class _Sound:
    """Played at `at` (seconds), as loud as this."""

    at: float
    dbfs: float


class EchoGate:
    """One call's. Frames have 20 ms; times are in seconds of the clock that the caller chose."""

    def __init__(self) -> None:
        self.shut = False
        """The last frame was sent as silence."""
        self._noise = NoiseFloor()
        self._played: deque[_Sound] = deque()
        self._echoes: deque[float] = deque(maxlen=_REMEMBERS)
        self._louder: deque[float] = deque(maxlen=_REMEMBERS)
        self._in_a_row = 0
        self._doubts = 0.0
        self._heard_until = float("-inf")

    def played(self, pcm: bytes, at: float) -> None:
        """These samples sound from `at` on."""
        level = level_dbfs(pcm)
        if level >= _PLAYED_DBFS:
            self._played.append(_Sound(at, level))

    def captured(self, pcm: bytes, at: float) -> bytes:
        """What to send of the next frame, captured until `at`: itself, or as much silence."""
        level, playing = level_dbfs(pcm), self._playing(at)
        if playing is None:
            self._noise.follow(level)
            self._forget_doubts()
            self.shut = False
            return pcm
        if self._is_person(level, playing):
            self._heard_until = at + HANGOVER_S
        self.shut = at >= self._heard_until
        return bytes(len(pcm)) if self.shut else pcm

    def _playing(self, at: float) -> float | None:
        """How loud it was played, whatever may still come back; None: nothing may."""
        while self._played and self._played[0].at < at - ECHO_S:
            self._played.popleft()
        return max((sound.dbfs for sound in self._played if sound.at <= at), default=None)

    def _is_person(self, level: float, playing: float) -> bool:
        comes_back = level - playing if level > self._noise.dbfs + _ABOVE_NOISE_DB else SILENCE_DBFS
        if len(self._echoes) < _LEARNS:
            self._echoes.append(comes_back)
            return False
        loudest = max(self._echoes)
        if comes_back <= loudest + _ABOVE_ECHO_DB:
            if self.shut:
                self._echoes.append(min(comes_back, loudest + _RISE_DB))
            self._in_a_row = 0
            self._doubts = max(0.0, self._doubts - _TRUST)
            return False
        self._louder.append(comes_back)
        self._in_a_row += 1
        self._doubts += 1
        if self._doubts < _DOUBTS:
            return self._in_a_row >= _OPENS
        self._echoes.extend(self._louder)
        self._forget_doubts()
        self._heard_until = float("-inf")
        return False

    def _forget_doubts(self) -> None:
        self._louder.clear()
        self._in_a_row = 0
        self._doubts = 0.0
