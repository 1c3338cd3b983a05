"""Rows made up for the tests of the bench."""

from __future__ import annotations

from bench.caller import Call, Turn
from bench.row import Row


def row(firsts: list[float | None], calls: int = 1) -> Row:
    """A row whose calls have these times to first audio, one alignment each."""
    turns = [
        Turn(index, 230.0, first, stages={"stt_ms": 90.0}) for index, first in enumerate(firsts)
    ]
    made = [Call(turns=turns[call::calls], seconds=30.0) for call in range(calls)]
    return Row(made, {"ingress": 1.0, "gcs": 0.5}, {"ingress": 10.0}, {"ingress": 12.0})
