"""Which of several voices gets a phrase, and what knowing more of them is worth.

    python -m bench.tts_routing

prints the table of docs/performance.md. Two generators, N calls, in virtual time, as in
`bench.tts_schedule`; only the choice of the generator differs.
"""

from __future__ import annotations

import copy
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from bench.tts_schedule import PACE, POLICIES, SECONDS, Call, Outcome, Simulation, Voice
from deployments.backlog import Backlog
from deployments.schedule import Job, Pace

VOICES = 2
CALLS = (4, 6, 8, 10, 12)
ORDER = POLICIES[-1]
"""As a replica works: by deadline, with short phrases while others wait."""


@dataclass(frozen=True, slots=True)
class Routing:
    """`ingresses`: each knows what it asked for, and how much there is; 0: all is known.

    `told_every_s`: what is known of the voices is that old at most.
    """

    name: str
    by_count: bool = False
    ingresses: int = 0
    told_every_s: float = 0.0


ROUTINGS = (
    Routing("the fewest phrases", by_count=True),
    Routing("the soonest, all known at once"),
    Routing("the soonest, told every 0.25 s", told_every_s=0.25),
    Routing("the soonest, one ingress", ingresses=1),
    Routing("the soonest, two ingresses", ingresses=2),
)


class RoutedSimulation(Simulation):
    """Several generators; equals are drawn by lot."""

    def __init__(
        self,
        routing: Routing,
        calls: int,
        seed: int = 0,
        voices: int = VOICES,
        pace: Pace = PACE,
    ) -> None:
        super().__init__(ORDER, calls, seed, voices, pace)
        self._routing = routing
        self._lots = random.Random(seed)
        self._known = self.voices
        self._backlogs = [[Backlog() for _ in self.voices] for _ in range(routing.ingresses)]
        self._numbers = {id(call): number for number, call in enumerate(self.calls)}
        self._asked: dict[int, Backlog] = {}
        if routing.told_every_s:
            self._tell(0.0)

    def route(self, call: Call, job: Job, now: float) -> Voice:
        """By the routing, from what is known of the generators."""
        costs = self._costs(call, job, now)
        least = min(costs)
        best = self._lots.choice([at for at, cost in enumerate(costs) if cost == least])
        if self._backlogs:
            backlog = self._asked[job.key] = self._of(call)[best]
            backlog.add(job, now)
        return self.voices[best]

    def made(self, job: Job, now: float) -> None:
        """The ingress that asked has all of it."""
        if self._backlogs:
            self._asked.pop(job.key).remove(job.key, now)

    def _of(self, call: Call) -> list[Backlog]:
        """What the ingress of a call knows of each generator."""
        return self._backlogs[self._numbers[id(call)] % len(self._backlogs)]

    def _costs(self, call: Call, job: Job, now: float) -> list[float]:
        counts = [voice.schedule.running + voice.schedule.waiting for voice in self.voices]
        if self._routing.by_count:
            return [float(count) for count in counts]
        if self._backlogs:
            pairs = zip(self._of(call), counts, strict=True)
            return [backlog.wait_s(job, now, count) for backlog, count in pairs]
        return [_wait_s(voice, job, now) for voice in self._known]

    def _tell(self, now: float) -> None:
        self._known = copy.deepcopy(self.voices)
        self.at(now + self._routing.told_every_s, self._tell)


def _wait_s(voice: Voice, job: Job, now: float) -> float:
    making_s = voice.schedule.pace.making_s
    before = [other for other in voice.queue if other.order < job.order]
    return max(0.0, voice.free_at - now) + sum(making_s(other.characters) for other in before)


def table(seconds: float = SECONDS) -> Iterator[str]:
    """The rows of a Markdown table, for every number of calls and every routing."""
    yield "| calls | to | voices busy | first audio mean / p95 / max, ms | underruns per 100 |"
    yield "|---|---|---|---|---|"
    for calls in CALLS:
        for routing in ROUTINGS:
            yield _row(calls, routing, RoutedSimulation(routing, calls).run(seconds), seconds)


def _row(calls: int, routing: Routing, outcome: Outcome, seconds: float) -> str:
    first_ms = sorted(first_s * 1000 for first_s in outcome.first_audio_s)
    p95 = first_ms[len(first_ms) * 95 // 100]
    underruns = 100 * len(outcome.underruns_s) / outcome.replies
    return (
        f"| {calls} | {routing.name} | {outcome.busy_s / seconds / VOICES:.0%} "
        f"| {statistics.fmean(first_ms):.0f} / {p95:.0f} / {first_ms[-1]:.0f} | {underruns:.1f} |"
    )


if __name__ == "__main__":
    for line in table():
        print(line)
