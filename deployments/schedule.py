"""Which phrase a voice makes next: by class, then by deadline. Pure: the time is an argument.

A phrase is due when the caller who hears it runs out of sound. One that runs is never
interrupted, so what can be decided is the order of those that wait, and what is refused when
too many do. Times are seconds of one clock, any one.
"""

from __future__ import annotations

import heapq
from bisect import insort
from dataclasses import dataclass

from deployments.contracts import Urgency

ORDER: tuple[Urgency, ...] = ("first", "later", "speculative", "offline")
"""Most urgent first. None of a class is started while one of a class before it waits."""

COMMITTED: frozenset[Urgency] = frozenset(("first", "later"))
"""What a caller is going to hear for sure."""

_LONG_PHRASE = 100
"""Characters of a phrase as long as any usual one."""

_NOTICED_S = 0.1
"""A wait for the voice that is shorter changes nothing that a caller hears."""

_LEARNING = 0.2
"""Weight of the newest phrase in the measured pace: five phrases forget an outlier."""


@dataclass(frozen=True, slots=True)
class Job:
    """A phrase to make. `due_at`: when its caller runs out of sound. Keys are unique and rise."""

    key: int
    urgency: Urgency
    due_at: float
    characters: int

    @property
    def order(self) -> tuple[int, float, int]:
        """Sorts the more urgent job first, equals as they came."""
        return ORDER.index(self.urgency), self.due_at, self.key


@dataclass(slots=True)
class Pace:
    """How fast a voice is; the defaults hold until it was measured.

    A phrase takes `first_audio_s` until it is first heard, and then `real_time_factor` times its
    length. `character_s`: audio of one character.
    """

    first_audio_s: float = 0.1
    real_time_factor: float = 0.2
    character_s: float = 0.06

    def learn(self, characters: int, audio_s: float, first_audio_s: float, took_s: float) -> None:
        """A phrase of `audio_s` took `took_s` in all. One without audio teaches nothing."""
        if characters <= 0 or audio_s <= 0:
            return
        self.first_audio_s += _LEARNING * (first_audio_s - self.first_audio_s)
        factor = (took_s - first_audio_s) / audio_s
        self.real_time_factor += _LEARNING * (factor - self.real_time_factor)
        self.character_s += _LEARNING * (audio_s / characters - self.character_s)

    def making_s(self, characters: int) -> float:
        """How long a phrase keeps the voice busy."""
        return self.first_audio_s + characters * self.character_s * self.real_time_factor

    def characters(self, audio_s: float) -> int:
        """How long a text speaks for `audio_s`; at least one character."""
        return max(1, int(audio_s / self.character_s))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What becomes of the queue if nothing more comes.

    `first_wait_s`: how long a first phrase that came now would wait for its turn.
    `late_s`: by how much the latest of the `later` phrases misses its deadline; 0: none does.
    """

    first_wait_s: float
    late_s: float


class Schedule:
    """The phrases of one voice that makes `slots` at once (None: any number).

    At most `max_waiting` wait. Overflow policy: the least urgent of all is refused, be it the
    newcomer or one that waited.
    """

    def __init__(self, slots: int | None, max_waiting: int, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._slots = slots
        self._max_waiting = max_waiting
        self._waiting: list[Job] = []
        self._running: dict[int, tuple[Job, float]] = {}

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Slots in use."""
        return len(self._running)

    @property
    def contended(self) -> bool:
        """Somebody who is going to hear it waits for a phrase, behind what may be a long wait.

        A voice that makes any phrase in a moment is never contended.
        """
        if self.pace.making_s(_LONG_PHRASE) < _NOTICED_S:
            return False
        return any(job.urgency in COMMITTED for job in self._waiting)

    def submit(self, job: Job) -> Job | None:
        """Let a job wait. The job that is refused for it, if the queue is full."""
        insort(self._waiting, job, key=_order)
        if len(self._waiting) > self._max_waiting and not self._free:
            return self._waiting.pop()
        return None

    def start(self, now: float) -> Job | None:
        """The next job to run, which then has a slot until `finish`; None: nothing may start."""
        if not self._waiting or not self._free:
            return None
        job = self._waiting.pop(0)
        self._running[job.key] = (job, now)
        return job

    def withdraw(self, key: int) -> None:
        """A waiting job is no longer wanted; nothing if it does not wait."""
        self._waiting = [job for job in self._waiting if job.key != key]

    def finish(self, key: int) -> None:
        """A running job has let go of its slot."""
        del self._running[key]

    def forecast(self, now: float) -> Forecast:
        """Plays the queue through at the measured pace."""
        if self._slots is None:
            return Forecast(0.0, 0.0)
        pace = self.pace
        free_at = [now] * (self._slots - len(self._running))
        for job, began_at in self._running.values():
            free_at.append(max(now, began_at + pace.making_s(job.characters)))
        heapq.heapify(free_at)
        first_wait_s: float | None = None
        late_s = 0.0
        for job in self._waiting:
            if job.urgency != "first" and first_wait_s is None:
                first_wait_s = free_at[0] - now
            if job.urgency == "later":
                late_s = max(late_s, free_at[0] + pace.first_audio_s - job.due_at)
            heapq.heapreplace(free_at, free_at[0] + pace.making_s(job.characters))
        return Forecast(free_at[0] - now if first_wait_s is None else first_wait_s, late_s)

    @property
    def _free(self) -> bool:
        return self._slots is None or len(self._running) < self._slots


def _order(job: Job) -> tuple[int, float, int]:
    return job.order
