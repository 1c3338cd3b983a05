"""How loaded a replica is, by what was measured, and what it does without at that load.

Two things run short: the event loop that every call's audio goes through, seen by how late it wakes
up, and the voice, whose replicas forecast how long a first phrase would wait. A stage that refuses
work for want of room is full, whatever it forecasts.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

WINDOW_S = 5.0
"""What was measured longer ago counts no more."""
SAMPLES = 200
"""Wake-ups that are remembered. Overflow policy: the oldest is forgotten."""
LEAST_SAMPLES = 20
"""Fewer say nothing about the slowest twentieth of them."""
LEAST_FORECASTS = 3
"""Of the voice, as it is asked once a second."""
CALM_AFTER_S = 3.0
"""So long the load must have been less before what was done without comes back."""


class Shed(IntEnum):
    """What is done without, the least missed first; each step includes those before it."""

    NOTHING = 0
    SPECULATION = 1
    PARTIALS = 2
    JUDGED_PAUSES = 3
    NEW_CALLS = 4


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """Where no more calls are taken.

    A quarter of `lag_ms` costs speculation, half of it partials, three quarters judging.
    """

    lag_ms: float = 80.0
    voice_wait_ms: float = 400.0


class Load:
    """Takes measurements, answers with what to shed. Running calls are never shed."""

    def __init__(self, limits: LoadLimits = LoadLimits()) -> None:
        self._limits = limits
        self._lags: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._voice_waits: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._refused_at = -math.inf
        self._shed = Shed.NOTHING
        self._busy_at = -math.inf

    def woke_late(self, ms: float, now: float) -> None:
        """The event loop came back this much later than it was asked to."""
        self._lags.append((now, ms))

    def voice_would_wait(self, ms: float, now: float) -> None:
        """A first phrase that came now would wait so long for a voice."""
        self._voice_waits.append((now, ms))

    def stage_refused(self, now: float) -> None:
        """A stage had no room for what a running call asked of it."""
        self._refused_at = now

    def lag_ms(self, now: float) -> float:
        """What 95 % of the recent wake-ups did not exceed; 0 where too few are known."""
        _forget(self._lags, now)
        if len(self._lags) < LEAST_SAMPLES:
            return 0.0
        lags = sorted(ms for _, ms in self._lags)
        return lags[math.ceil(0.95 * len(lags)) - 1]

    def shed(self, now: float) -> Shed:
        """What to do without now. It grows at once, and shrinks after `CALM_AFTER_S`."""
        needed = self._needed(now)
        if needed >= self._shed:
            self._shed, self._busy_at = needed, now
        elif now >= self._busy_at + CALM_AFTER_S:
            self._shed, self._busy_at = Shed(self._shed - 1), now
        return self._shed

    def _no_voice(self, now: float) -> bool:
        """At no time lately could a first phrase begin soon. One that runs is no load."""
        _forget(self._voice_waits, now)
        waits = [ms for _, ms in self._voice_waits]
        return len(waits) >= LEAST_FORECASTS and min(waits) >= self._limits.voice_wait_ms

    def _needed(self, now: float) -> Shed:
        lag = self.lag_ms(now) / self._limits.lag_ms
        if lag >= 1.0 or self._no_voice(now) or now < self._refused_at + WINDOW_S:
            return Shed.NEW_CALLS
        if lag >= 0.75:
            return Shed.JUDGED_PAUSES
        if lag >= 0.5:
            return Shed.PARTIALS
        return Shed.SPECULATION if lag >= 0.25 else Shed.NOTHING


def _forget(measured: deque[tuple[float, float]], now: float) -> None:
    while measured and measured[0][0] < now - WINDOW_S:
        measured.popleft()
