"""Records as locust's requests: what its tables, its pictures and its CSV files show. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from loadtest.records import (
    BargeIn,
    CallBegan,
    CallEnded,
    CameBack,
    Failure,
    Leak,
    Record,
    TurnEnded,
)


@dataclass(frozen=True, slots=True)
class Request:
    """One line of locust's statistics. `ms` None: it only failed."""

    type: str
    name: str
    ms: float | None
    failure: str | None = None


def requests_of(record: Record) -> list[Request]:
    """The requests that a record counts as; failures by class, as Failure has them."""
    match record:
        case CallBegan(line=line, connect_ms=ms):
            return [Request("connect", line, ms)]
        case CallEnded(how=how, seconds=seconds):
            return [Request("call", how, seconds * 1000)]
        case TurnEnded(first_audio_ms=None):
            return []  # Its Failure counts.
        case TurnEnded() as turn:
            stages = [
                Request("stage", stage.removesuffix("_ms"), ms)
                for stage, ms in turn.stages.items()
                if turn.kind != "typed" or stage not in ("pause_ms", "stt_ms")
            ]
            asked = "typed" if turn.kind == "typed" else "spoken"
            return [
                Request("first audio", asked, turn.first_audio_ms),
                Request("turn", turn.kind, turn.seconds * 1000),
                *stages,
            ]
        case BargeIn(flush_ms=float() as ms):
            return [Request("barge-in", "flush", ms)]
        case CameBack(ms=ms):
            return [Request("connect", "after a cut", ms)]
        case Leak(what=what):
            return [Request("leak", what.partition(":")[0], None, what)]
        case Failure(kind=kind, what=what):
            return [Request("error", kind, None, what)]
        case _:
            return []
