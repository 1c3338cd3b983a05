"""How long a phrase would wait at a voice, by what was asked of it from here. Pure.

Whoever routes phrases keeps a backlog of each voice. Times are seconds of one clock, any one.
"""

from __future__ import annotations

from deployments.schedule import Job, Pace

STRANGER_S = 0.3
"""What a phrase that others asked for counts: one of 20 characters, at a usual voice."""


class Backlog:
    """The phrases that a voice was asked for and has not made yet; it makes one at a time.

    Voices are compared by it, so the pace is any voice's.
    """

    def __init__(self) -> None:
        self._pace = Pace()
        self._jobs: dict[int, Job] = {}
        self._since = 0.0

    def add(self, job: Job, now: float) -> None:
        """It is asked for."""
        if not self._jobs:
            self._since = now
        self._jobs[job.key] = job

    def remove(self, key: int, now: float) -> None:
        """It is made, or given up; nothing if it is not known."""
        if self._jobs.pop(key, None):
            self._since = now

    def wait_s(self, job: Job, now: float, in_all: int = 0) -> float:
        """How long another would wait; `in_all` phrases are there, with those that others asked."""
        jobs = list(self._jobs.values())
        wait_s = STRANGER_S * max(0, in_all - len(jobs))
        if jobs:
            running, *waiting = jobs
            wait_s += max(0.0, self._making_s(running) - (now - self._since))
            wait_s += sum(self._making_s(other) for other in waiting if other.order < job.order)
        return wait_s

    def _making_s(self, job: Job) -> float:
        return self._pace.making_s(job.characters)
