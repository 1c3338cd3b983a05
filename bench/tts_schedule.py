"""What ordering a voice's work by deadline is worth: one generator, N calls, in virtual time.

    python -m bench.tts_schedule

prints the table of docs/performance.md. Every policy meets the same callers, replies and pauses;
only the order of the queue and the length of later phrases differ.
"""

from __future__ import annotations

import heapq
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from deployments.contracts import Urgency
from deployments.schedule import Job, Pace, Schedule

FIRST_AUDIO_S = 0.1
REAL_TIME_FACTOR = 0.17
CHARACTER_S = 0.06
CHUNK_S = 0.08
PACE = Pace(FIRST_AUDIO_S, REAL_TIME_FACTOR, CHARACTER_S)
CALLS = (2, 3, 4, 5, 6)
SECONDS = 7_200.0

AHEAD_S = 4.25
"""Unplayed audio beyond which a reply asks for no further phrase (playout.py: 4 s and the lead)."""

CONTENDED_CHARS = int(1.2 / CHARACTER_S)
SHORTEST_UNDERRUN_S = CHUNK_S
"""A player that holds one chunk back does not notice less."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`by_deadline`: else first come, first served. `cut`: shorter phrases while others wait."""

    name: str
    by_deadline: bool
    cut: bool


POLICIES = (
    Policy("first come", by_deadline=False, cut=False),
    Policy("deadline", by_deadline=True, cut=False),
    Policy("first come, cut", by_deadline=False, cut=True),
    Policy("deadline, cut", by_deadline=True, cut=True),
)


@dataclass(slots=True)
class Outcome:
    """What the callers of one run heard."""

    first_audio_s: list[float] = field(default_factory=list[float])
    underruns_s: list[float] = field(default_factory=list[float])
    busy_s: float = 0.0

    @property
    def replies(self) -> int:
        """Replies that were begun."""
        return len(self.first_audio_s)


@dataclass(slots=True, eq=False)
class Call:
    """One caller: waits, then hears a reply of phrases (in characters), for ever."""

    chance: random.Random
    phrases: list[int] = field(default_factory=list[int])
    asked_at: float = 0.0
    dry_at: float = 0.0
    silent: bool = True
    contended: bool = False


@dataclass(slots=True)
class Voice:
    """A generator: its schedule, the jobs that wait in it, and when the one that runs is made."""

    schedule: Schedule
    queue: list[Job] = field(default_factory=list[Job])
    free_at: float = 0.0


class Simulation:
    """Runs N calls on one generator, or on more, until `seconds` have passed."""

    def __init__(
        self,
        policy: Policy,
        calls: int,
        seed: int = 0,
        voices: int = 1,
        pace: Pace = PACE,
    ) -> None:
        self._policy = policy
        self._pace = pace
        self.voices = [Voice(Schedule(1, calls, pace)) for _ in range(voices)]
        self.calls = [Call(random.Random(f"{seed}/{index}")) for index in range(calls)]
        self._keys = count()
        self._of_job: dict[int, Call] = {}
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self.outcome = Outcome()

    def route(self, call: Call, job: Job, now: float) -> Voice:
        """The generator that gets a job."""
        del call, job, now
        return self.voices[0]

    def made(self, job: Job, now: float) -> None:
        """A generator is done with a job."""

    def rest_s(self, chance: random.Random) -> float:
        """From the end of a reply to the next one's first phrase: the caller speaks."""
        return chance.uniform(2.0, 6.0)

    def run(self, seconds: float = SECONDS) -> Outcome:
        """Play it; replies that were not begun by then do not count."""
        for call in self.calls:
            self._rest(call, 0.0)
        while self._events[0][0] < seconds:
            now, _, event = heapq.heappop(self._events)
            event(now)
        return self.outcome

    def at(self, time: float, event: Callable[[float], None]) -> None:
        """Let something happen then."""
        heapq.heappush(self._events, (time, next(self._order), event))

    def _rest(self, call: Call, now: float) -> None:
        """The caller has the word; then a reply of some 1 to 13 s is due."""
        chance = call.chance
        later = [chance.randint(60, 90) for _ in range(chance.randrange(3))]
        phrases = [chance.randint(15, 30), *later]

        def begin(now: float) -> None:
            call.phrases = phrases
            call.asked_at, call.silent = now, True
            self._ask(call, now)

        self.at(now + self.rest_s(chance), begin)

    def _ask(self, call: Call, now: float) -> None:
        """Ask for the reply's next phrase, which is due when its caller's sound is over."""
        first = call.silent
        characters = self._next_phrase(call)
        urgency: Urgency = "first" if first else "later"
        due_at = max(now, call.dry_at)
        job = Job(next(self._keys), urgency, due_at, characters)
        if not self._policy.by_deadline:
            job = Job(job.key, "later", now, characters)
        self._of_job[job.key] = call
        voice = self.route(call, job, now)
        voice.schedule.submit(job)
        voice.queue.append(job)
        self._start(voice, now)

    def _next_phrase(self, call: Call) -> int:
        whole = call.phrases.pop(0)
        if not (self._policy.cut and call.contended and not call.silent):
            return whole
        if whole > CONTENDED_CHARS:
            call.phrases.insert(0, whole - CONTENDED_CHARS)
        return min(whole, CONTENDED_CHARS)

    def _start(self, voice: Voice, now: float) -> None:
        job = voice.schedule.start(now)
        if job is None:
            return
        voice.queue.remove(job)
        pace = self._pace
        audio_s = job.characters * pace.character_s
        took_s = pace.first_audio_s + max(0.0, audio_s - CHUNK_S) * pace.real_time_factor
        voice.free_at = now + took_s
        self.outcome.busy_s += took_s
        call = self._of_job[job.key]
        self.at(now + pace.first_audio_s, lambda now: self._heard(call, now, audio_s))
        self.at(now + took_s, lambda now: self._made(call, voice, job, now))

    def _heard(self, call: Call, now: float, audio_s: float) -> None:
        """A phrase's first audio is there; the rest is made faster than it is played."""
        if call.silent:
            call.silent = False
            call.dry_at = now
            self.outcome.first_audio_s.append(now - call.asked_at)
        gap_s = now - call.dry_at
        if gap_s > SHORTEST_UNDERRUN_S:
            self.outcome.underruns_s.append(gap_s)
        call.dry_at = max(call.dry_at, now) + audio_s

    def _made(self, call: Call, voice: Voice, job: Job, now: float) -> None:
        call.contended = voice.schedule.contended
        del self._of_job[job.key]
        voice.schedule.finish(job.key)
        self.made(job, now)
        if not call.phrases:
            self.at(call.dry_at, lambda now: self._rest(call, now))
        elif call.dry_at - now < AHEAD_S:
            self._ask(call, now)
        else:
            self.at(call.dry_at - AHEAD_S, lambda now: self._ask(call, now))
        self._start(voice, now)


def table(seconds: float = SECONDS) -> Iterator[str]:
    """The rows of a Markdown table, for every number of calls and every policy."""
    yield (
        "| calls | order | voice busy | first audio mean / p95 / max, ms "
        "| underruns per 100 replies | longest, ms |"
    )
    yield "|---|---|---|---|---|---|"
    for calls in CALLS:
        for policy in POLICIES:
            yield _row(calls, policy, Simulation(policy, calls).run(seconds), seconds)


def _row(calls: int, policy: Policy, outcome: Outcome, seconds: float) -> str:
    first_ms = sorted(first_s * 1000 for first_s in outcome.first_audio_s)
    p95 = first_ms[len(first_ms) * 95 // 100]
    longest_ms = max(outcome.underruns_s, default=0.0) * 1000
    underruns = 100 * len(outcome.underruns_s) / outcome.replies
    return (
        f"| {calls} | {policy.name} | {outcome.busy_s / seconds:.0%} "
        f"| {statistics.fmean(first_ms):.0f} / {p95:.0f} / {first_ms[-1]:.0f} "
        f"| {underruns:.1f} | {longest_ms:.0f} |"
    )


if __name__ == "__main__":
    for line in table():
        print(line)
