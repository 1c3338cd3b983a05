"""Calls of the load test, over a graph that tells callers apart, and what they report meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import yaml

from loadtest.call import Call, Server
from loadtest.clips import make_clips
from loadtest.graph import TIMED
from loadtest.records import CallEnded, Failure, Leak, Record, TurnEnded
from loadtest.scenario import LINES, Kind, Plan, Step

KINDS: Final[tuple[Kind, ...]] = ("speak", "type", "interrupt")
STEPS: Final = 600
"""More than a call lives for."""
STAGE_S: Final = 3.0
"""How long a stage is waited for, twice: a caller is told before it gives up, after 10 s."""
TOLD: Final = ("error stage_failed", "error stage_timeout", "error stage_unavailable")
SPOILED: Final = (*TOLD, "failed reply", "unanswered", "no flush", "misheard", "wrong answer")
"""What a turn may be for its caller once its stage has failed: an apology is no answer, and what
was said is not in it."""


def timed(directory: Path, **args: Any) -> Path:
    """The graph of the load test with `args` laid over, as a file; its stages are given up soon."""
    config = yaml.safe_load(TIMED.read_text())
    settings = config["applications"][0]["args"]
    for stage in ("stt", "llm", "tts"):
        settings[stage] |= {"first_s": STAGE_S, "next_s": STAGE_S}
    settings |= args
    path = directory / "watched.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


class Calls:
    """Whoever is in a call says, types and interrupts without end."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.numbers = list(numbers)
        self.records: list[Record] = []
        self._news = asyncio.Event()

    def report(self, record: Record) -> None:
        """From a call."""
        self.records.append(record)
        self._news.set()

    async def until_answered(self, within_s: float) -> None:
        """Until each call had an answer to what it said or typed from now on."""
        # The turn that each is in was begun before: the one after it counts.
        begun = len(self.records)
        async with asyncio.timeout(within_s):
            while self._answers_since(begun) < 2:
                self._news.clear()
                await self._news.wait()

    def _answers_since(self, begun: int) -> int:
        answered = [
            record.call
            for record in self.records[begun:]
            if isinstance(record, TurnEnded) and record.first_audio_ms is not None
        ]
        return min(answered.count(number) for number in self.numbers)

    def failures(self, since: int = 0) -> list[tuple[int, str]]:
        """By call, leaks included."""
        return [
            (record.call, record.kind if isinstance(record, Failure) else f"leak {record.what}")
            for record in self.records[since:]
            if isinstance(record, Failure | Leak)
        ]

    def waits_ms(self, since: int = 0) -> list[float]:
        """To the first sound of each answer."""
        ended = [record for record in self.records[since:] if isinstance(record, TurnEnded)]
        return [turn.first_audio_ms for turn in ended if turn.first_audio_ms is not None]

    def endings(self) -> list[str]:
        """How calls ended."""
        return [record.how for record in self.records if isinstance(record, CallEnded)]

    def assert_each_failure_was_told(self) -> None:
        """Nothing came of another's, and no call was spoiled without an error that says so."""
        failures = self.failures()
        assert {kind for _, kind in failures} <= set(SPOILED), failures
        for number in {call for call, _ in failures}:
            assert {kind for call, kind in failures if call == number} & set(TOLD), failures


@asynccontextmanager
async def calling(
    numbers: Iterable[int],
    url: str,
    through: Callable[[int, str], str] = lambda _, url: url,
) -> AsyncIterator[Calls]:
    """Calls that last as long as the block. `through` says by which URL a call goes."""
    calls = Calls(numbers)
    clips = make_clips(sorted({line.rate for line in LINES}))
    plans = [_plan(number, len(clips)) for number in calls.numbers]
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(
                Call(plan, Server(through(plan.number, url), True), clips, calls.report).run()
            )
            for plan in plans
        ]
        yield calls
        for task in running:
            task.cancel()


def _plan(number: int, sentences: int) -> Plan:
    kinds = islice(cycle(KINDS), number % len(KINDS), number % len(KINDS) + STEPS)
    # Callers that begin together do not speak together.
    steps = [
        Step(kind, 0.2 + (number * 7 + at * 3) % 10 / 10, (number + at) % sentences)
        for at, kind in enumerate(kinds)
    ]
    return Plan(number, LINES[number % len(LINES)], tuple(steps), "says goodbye")
