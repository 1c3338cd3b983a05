"""What the callers report, a JSON line each. Pure.

`at` is the time of day in seconds, as callers on several machines report to one place: these
keep the same time. `call` is a caller's number in the test. Times in ms.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias, cast


@dataclass(frozen=True, slots=True)
class CallBegan:
    """The server opened a call, `connect_ms` after it was asked to."""

    at: float
    call: int
    line: str
    connect_ms: float


@dataclass(frozen=True, slots=True)
class CallEnded:
    """How a call that was opened ended: `said goodbye`, `hung up mid-reply`, `stopped`, `lost`."""

    at: float
    call: int
    line: str
    how: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn and its answer.

    `first_audio_ms`: from the last voiced sample, or the typed text, to the first audible one;
    None: unanswered. `stages`: the protocol's `timings`. `underruns` of an 80 ms player. `early`:
    audible before the caller had ended.
    """

    at: float
    call: int
    line: str
    kind: str
    first_audio_ms: float | None
    seconds: float
    underruns: int = 0
    early: bool = False
    stages: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class BargeIn:
    """A caller spoke over a reply: from its first voiced sample to `flush`; None: none came."""

    at: float
    call: int
    line: str
    flush_ms: float | None


@dataclass(frozen=True, slots=True)
class CameBack:
    """A connection was cut, and so long after there was a call again."""

    at: float
    call: int
    line: str
    ms: float


@dataclass(frozen=True, slots=True)
class Leak:
    """Something of another caller's reached this call."""

    at: float
    call: int
    line: str
    what: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Something else went wrong; `kind` is for counting, `what` for reading."""

    at: float
    call: int
    line: str
    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class Second:
    """A second of one process of callers: calls now, how late its event loop was, round trips."""

    at: float
    process: str
    calls: int
    late_ms: list[float]
    round_trips_ms: list[float]


@dataclass(frozen=True, slots=True)
class ServerCpu:
    """CPU seconds that the server had spent until now."""

    at: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class StepBegan:
    """A ramp went on to so many calls at once."""

    at: float
    calls: int


Record: TypeAlias = (
    CallBegan
    | CallEnded
    | TurnEnded
    | BargeIn
    | CameBack
    | Leak
    | Failure
    | Second
    | ServerCpu
    | StepBegan
)
_KINDS: dict[str, type[Record]] = {
    kind.__name__: kind
    for kind in (
        CallBegan,
        CallEnded,
        TurnEnded,
        BargeIn,
        CameBack,
        Leak,
        Failure,
        Second,
        ServerCpu,
        StepBegan,
    )
}


def to_line(record: Record) -> str:
    """One line of JSON, without its end."""
    return json.dumps({"record": type(record).__name__, **asdict(record)})


def from_line(line: str) -> Record:
    """The reverse of `to_line`. Raises ValueError."""
    fields: object = json.loads(line)
    if not isinstance(fields, Mapping):
        raise ValueError(f"not a record: {line[:80]}")
    values = dict(cast("Mapping[str, Any]", fields))
    kind = _KINDS.get(str(values.pop("record", None)))
    if kind is None:
        raise ValueError(f"an unknown record: {line[:80]}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from error
