"""How many calls a pool of voices carries, with the schedule and the routing that run."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass

from bench.capacity import search
from bench.capacity.assumptions import ANSWER_S, PER_INGRESS, SPEAKS_S, THINKS_S, TURN_S
from bench.tts_routing import RoutedSimulation, Routing
from deployments.schedule import Pace

REPLIES = 3_000
"""So many replies are played for each answer: the p95 has 150 beyond it."""
SEEN_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What callers hear, and what the autoscaling policy sees: means a voice."""

    wait_p95_ms: float
    underruns_per_100: float
    busy: float
    ongoing: float
    age_ms: float

    def good(self, wait_ms: float, underruns_per_100: float) -> bool:
        """Within both targets."""
        return self.wait_p95_ms <= wait_ms and self.underruns_per_100 <= underruns_per_100


class Pool(RoutedSimulation):
    """Callers who speak, wait for the answer, hear it and think; looked at once a second."""

    def __init__(self, voices: int, calls: int, pace: Pace, seed: int = 0) -> None:
        ingresses = math.ceil(calls / PER_INGRESS)
        super().__init__(Routing("as it runs", ingresses=ingresses), calls, seed, voices, pace)
        self._seen: list[tuple[float, float]] = []
        self.at(0.0, self._look)

    def rest_s(self, chance: random.Random) -> float:
        """Thinks, speaks, and waits for the text."""
        return chance.uniform(*THINKS_S) + chance.uniform(*SPEAKS_S) + ANSWER_S

    def _look(self, now: float) -> None:
        schedules = [voice.schedule for voice in self.voices]
        ongoing = statistics.fmean(each.running + each.waiting for each in schedules)
        wait_s = statistics.fmean(each.forecast(now).first_wait_s for each in schedules)
        self._seen.append((ongoing, wait_s))
        self.at(now + SEEN_EVERY_S, self._look)

    def heard(self, seconds: float) -> Heard:
        """Play so long, and sum it up."""
        outcome = self.run(seconds)
        first_s = sorted(outcome.first_audio_s)
        wait_s = first_s[len(first_s) * 95 // 100] - self._pace.first_audio_s
        return Heard(
            wait_p95_ms=wait_s * 1000,
            underruns_per_100=100 * len(outcome.underruns_s) / outcome.replies,
            busy=outcome.busy_s / seconds / len(self.voices),
            ongoing=statistics.fmean(ongoing for ongoing, _ in self._seen),
            age_ms=statistics.fmean(wait for _, wait in self._seen) * 1000,
        )


def heard(voices: int, calls: int, pace: Pace, replies: int = REPLIES) -> Heard:
    """What so many calls hear of so many voices. Raises ValueError where there are none."""
    if voices < 1 or calls < 1 or replies < 100:
        raise ValueError("voices and calls must be above 0, and 100 replies be played")
    return Pool(voices, calls, pace).heard(replies * TURN_S / calls)


def most_calls(
    voices: int, pace: Pace, wait_ms: float, underruns_per_100: float, replies: int = REPLIES
) -> int:
    """The most calls that are served within the targets; 0: not even one."""
    return search.most_calls(
        lambda calls: heard(voices, calls, pace, replies).good(wait_ms, underruns_per_100),
        2 * voices,
    )
