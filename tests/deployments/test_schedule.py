"""Which phrase a voice makes next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from deployments.schedule import COMMITTED, ORDER, Forecast, Job, Pace, Schedule

URGENCIES = st.sampled_from(ORDER)
TIMES = st.floats(0, 100)
JOBS = st.lists(st.tuples(URGENCIES, TIMES, st.integers(1, 250)), max_size=12).map(
    lambda jobs: [Job(key, *job) for key, job in enumerate(jobs)]
)


def schedule_of(*jobs: Job, slots: int | None = 1, max_waiting: int = 64) -> Schedule:
    """A schedule in which these jobs wait, if they must."""
    schedule = Schedule(slots, max_waiting)
    for job in jobs:
        schedule.submit(job)
    return schedule


def served(schedule: Schedule) -> list[int]:
    """The keys in the order in which a single slot serves them."""
    keys: list[int] = []
    while (job := schedule.start(0.0)) is not None:
        keys.append(job.key)
        schedule.finish(job.key)
    return keys


def test_classes_come_before_deadlines() -> None:
    """A first phrase before a later one that is overdue, and so on down."""
    jobs = [Job(n, urgency, -float(n), 10) for n, urgency in enumerate(ORDER)]
    assert served(schedule_of(*reversed(jobs))) == [0, 1, 2, 3]


@given(JOBS)
def test_within_a_class_the_earliest_deadline_is_first(jobs: list[Job]) -> None:
    """And of equal ones the first that came."""
    expected = sorted(jobs, key=lambda job: (ORDER.index(job.urgency), job.due_at, job.key))
    assert served(schedule_of(*jobs)) == [job.key for job in expected]


@given(JOBS)
def test_no_speculation_runs_while_anything_committed_waits(jobs: list[Job]) -> None:
    """However much speculation there is, and whenever it came."""
    schedule = schedule_of(*jobs)
    while (job := schedule.start(0.0)) is not None:
        assert job.urgency in COMMITTED or not schedule.contended
        schedule.finish(job.key)


def test_a_running_phrase_is_not_interrupted() -> None:
    """The most urgent one waits for the slot."""
    schedule = schedule_of(Job(0, "offline", 0, 10))
    assert schedule.start(0.0) == Job(0, "offline", 0, 10)
    schedule.submit(Job(1, "first", 0, 10))
    assert schedule.start(0.0) is None
    schedule.finish(0)
    assert schedule.start(0.0) == Job(1, "first", 0, 10)


def test_slots_bound_what_runs_at_once() -> None:
    """None: any number runs."""
    jobs = [Job(key, "later", 0, 10) for key in range(5)]
    two = schedule_of(*jobs, slots=2)
    assert [job and job.key for job in (two.start(0), two.start(0), two.start(0))] == [0, 1, None]
    every = schedule_of(*jobs, slots=None)
    while every.start(0):
        pass
    assert (every.running, every.waiting) == (5, 0)


def test_what_is_withdrawn_does_not_run() -> None:
    """A key that does not wait changes nothing."""
    schedule = schedule_of(Job(0, "first", 0, 10), Job(1, "first", 0, 10))
    schedule.withdraw(0)
    schedule.withdraw(7)
    assert served(schedule) == [1]


def test_a_full_queue_refuses_the_least_urgent() -> None:
    """One that waited, or the newcomer."""
    first, later, later_still, offline = (
        Job(0, "first", 0, 10),
        Job(1, "later", 1, 10),
        Job(2, "later", 2, 10),
        Job(3, "offline", 0, 10),
    )
    schedule = Schedule(1, 2)
    schedule.submit(Job(9, "first", 0, 10))
    schedule.start(0.0)
    assert [schedule.submit(job) for job in (later_still, later)] == [None, None]
    assert schedule.submit(offline) == offline
    assert schedule.submit(first) == later_still
    schedule.finish(9)
    assert served(schedule) == [0, 1]


def test_a_free_slot_refuses_nobody() -> None:
    """No place to wait is needed."""
    schedule = Schedule(1, 0)
    assert schedule.submit(Job(0, "offline", 0, 10)) is None
    assert schedule.start(0.0) is not None


@pytest.mark.parametrize(("urgency", "contended"), [*zip(ORDER, (1, 1, 0, 0), strict=True)])
def test_only_what_will_be_heard_contends(urgency: str, contended: int) -> None:
    """Speculation and offline work make nobody hurry."""
    schedule = schedule_of(Job(0, urgency, 0, 10))  # type: ignore[arg-type]
    assert schedule.contended is bool(contended)


def test_a_voice_that_is_done_in_a_moment_is_never_contended() -> None:
    """There is nothing to gain from shorter phrases."""
    quick = Schedule(1, 64, Pace(first_audio_s=0.002, real_time_factor=0.002))
    quick.submit(Job(0, "first", 0, 10))
    assert not quick.contended


class Queue(RuleBasedStateMachine):
    """Any order of what can happen to a schedule of two slots and three places."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule(2, 3)
        self.waiting: set[int] = set()
        self.running: set[int] = set()
        self.key = 0

    @rule(urgency=URGENCIES, due_at=TIMES)
    def submit(self, urgency: str, due_at: float) -> None:
        """A phrase comes; as the replica does, what can start does."""
        self.key += 1
        self.waiting.add(self.key)
        refused = self.schedule.submit(Job(self.key, urgency, due_at, 10))  # type: ignore[arg-type]
        if refused is not None:
            self.waiting.remove(refused.key)
        self.start()

    @rule()
    def start(self) -> None:
        """Fill the slots."""
        while (job := self.schedule.start(0.0)) is not None:
            self.waiting.remove(job.key)
            self.running.add(job.key)

    @rule()
    def finish(self) -> None:
        """The oldest running phrase ends."""
        if self.running:
            key = min(self.running)
            self.running.remove(key)
            self.schedule.finish(key)

    @rule()
    def withdraw(self) -> None:
        """The oldest waiting phrase is no longer wanted."""
        if self.waiting:
            key = min(self.waiting)
            self.waiting.remove(key)
            self.schedule.withdraw(key)

    @invariant()
    def nothing_is_lost_or_over_its_bound(self) -> None:
        """What was not refused or withdrawn waits or runs."""
        counted = (self.schedule.waiting, self.schedule.running)
        assert counted == (len(self.waiting), len(self.running))
        assert len(self.running) <= 2
        assert len(self.waiting) <= 3


TestQueue = Queue.TestCase

PACE = {"first_audio_s": 0.1, "real_time_factor": 0.2, "character_s": 0.05}
"""100 characters are 5 s of audio and take 1.1 s."""


def forecast(*waiting: Job, running: int = 0, slots: int | None = 1, now: float = 0.0) -> Forecast:
    """With `running` phrases of 100 characters begun at 0."""
    schedule = Schedule(slots, 64, Pace(**PACE))
    for key in range(running):
        schedule.submit(Job(1_000 + key, "first", 0, 100))
        schedule.start(0.0)
    for job in waiting:
        schedule.submit(job)
    return schedule.forecast(now)


def test_an_idle_voice_has_room() -> None:
    """So has one that makes any number at once."""
    assert forecast() == Forecast(0, 0)
    busy = [Job(key, "later", 0, 100) for key in range(9)]
    assert forecast(*busy, running=9, slots=None) == Forecast(0, 0)


def test_a_first_phrase_waits_for_the_running_one() -> None:
    """What is left of it; of one that takes longer than it should, nothing."""
    assert forecast(running=1).first_wait_s == pytest.approx(1.1)
    assert forecast(running=1, now=1.0).first_wait_s == pytest.approx(0.1)
    assert forecast(running=1, now=9.0).first_wait_s == 0


def test_a_first_phrase_waits_for_those_before_it_alone() -> None:
    """Other first phrases; later ones and the rest wait for it."""
    waiting = [Job(0, "later", 0, 100), Job(1, "first", 0, 100), Job(2, "offline", 0, 100)]
    assert forecast(*waiting, running=1).first_wait_s == pytest.approx(2.2)
    assert forecast(waiting[1], running=1).first_wait_s == pytest.approx(2.2)


def test_slots_share_what_waits() -> None:
    """Two phrases on two slots end together."""
    waiting = [Job(key, "first", 0, 100) for key in range(2)]
    assert forecast(*waiting, slots=2).first_wait_s == pytest.approx(1.1)


def test_a_queue_that_meets_its_deadlines_is_not_late() -> None:
    """Each is heard 0.1 s after its turn, every 1.1 s."""
    in_time = [Job(0, "later", 0.1, 100), Job(1, "later", 1.2, 100)]
    assert forecast(*in_time).late_s == pytest.approx(0)
    assert forecast(*in_time, Job(2, "later", 1.3, 100)).late_s == pytest.approx(1.0)


def test_what_no_caller_is_promised_is_never_late() -> None:
    """First phrases have no deadline to miss, and speculation may be dropped."""
    others = [Job(0, "first", -9, 100), Job(1, "speculative", -9, 100), Job(2, "offline", -9, 100)]
    assert forecast(*others).late_s == 0


def test_the_pace_comes_to_be_what_was_measured() -> None:
    """From whatever it was assumed to be."""
    pace = Pace(**PACE)
    for _ in range(60):
        pace.learn(50, audio_s=4.0, first_audio_s=0.3, took_s=2.3)
    assert pace.first_audio_s == pytest.approx(0.3, rel=1e-3)
    assert pace.real_time_factor == pytest.approx(0.5, rel=1e-3)
    assert pace.character_s == pytest.approx(0.08, rel=1e-3)
    assert pace.making_s(50) == pytest.approx(2.3, rel=1e-3)
    assert pace.characters(4.0) in (49, 50)


def test_silence_teaches_nothing() -> None:
    """Neither no text nor no audio."""
    pace = Pace(**PACE)
    pace.learn(0, 4.0, 9.0, 9.0)
    pace.learn(10, 0.0, 9.0, 9.0)
    assert pace == Pace(**PACE)


def test_a_phrase_has_at_least_a_character() -> None:
    """However slowly a voice speaks."""
    assert Pace(character_s=5.0).characters(1.2) == 1
