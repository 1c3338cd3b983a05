"""Where a call's records go: each gets the time of day and the call it is of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.records import Failure, Record
from loadtest.scenario import Plan


@dataclass(frozen=True, slots=True)
class Reporter:
    """Of one call. `now` is the time of day in seconds."""

    plan: Plan
    send: Callable[[Record], None]
    now: Callable[[], float]

    def tell(self, kind: Callable[..., Record], *values: object, **named: object) -> None:
        """A record of a kind, from the fields after its first three on."""
        self.send(kind(self.now(), self.plan.number, self.plan.line.name, *values, **named))

    def fail(self, kind: str, what: str) -> None:
        """Something went wrong."""
        self.tell(Failure, kind, what)
