"""Records for tests: of calls as they might have been."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.records import (
    BargeIn,
    CallBegan,
    CallEnded,
    Failure,
    Leak,
    Record,
    Second,
    ServerCpu,
    TurnEnded,
)

LINE = "opus 16 kHz, pcm16 back"
STAGES = {"pause_ms": 500.0, "stt_ms": 80.0, "llm_ms": 60.0, "tts_ms": 100.0, "pipeline_ms": 300.0}


def turn(at: float, ms: float | None, kind: str = "spoken", **more: object) -> TurnEnded:
    """A turn that was answered after `ms`."""
    values: dict[str, object] = {"stages": STAGES, **more}
    return TurnEnded(at, 1, LINE, kind, ms, 5.0, **values)  # type: ignore[arg-type]


def seconds(start: float, count: int, calls: int, process: str = "a") -> Iterator[Second]:
    """So many seconds with so many calls."""
    for index in range(count):
        yield Second(start + index, process, calls, [1.0, 3.0], [2.0])


def run(start: float = 1_000.0, calls: int = 4, first_ms: float = 900.0) -> list[Record]:
    """A minute of calls, nothing wrong with it."""
    records: list[Record] = [
        ServerCpu(start, 10.0),
        *(CallBegan(start + 0.1, n, LINE, 12.0) for n in range(calls)),
        *seconds(start + 0.5, 60, calls),
        *(turn(start + 3 + n, first_ms + n) for n in range(20)),
        *(turn(start + 3.5 + n, 400.0, "typed") for n in range(5)),
        BargeIn(start + 20, 1, LINE, 320.0),
        *(CallEnded(start + 59, n, LINE, "said goodbye", 58.0) for n in range(calls)),
        ServerCpu(start + 60, 10.0 + calls * 4.0),
    ]
    return sorted(records, key=lambda record: record.at)


def wrong(at: float = 1_010.0) -> list[Record]:
    """What goes wrong in the worst of runs."""
    return [
        turn(at, None),
        turn(at, -40.0, underruns=3, early=True),
        Leak(at, 1, LINE, "text: zqaaaaab, not zqaaaaac"),
        Failure(at, 1, LINE, "unanswered", "no answer <within> 10 s"),
        Failure(at + 1, 2, LINE, "unanswered", "no answer within 10 s"),
    ]
