"""When a client that lost its connection tries again, and when it gives up. Pure.

The wait before an attempt is drawn between nothing and twice the bound of the one before it
(exponential back-off with full jitter), so that clients which were lost together do not come back
together. Times in seconds of the clock that the caller chose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STEADY_S: Final = 5.0
"""A connection that broke off sooner was none: the waits go on to grow."""

_PASSING_STATUS: Final = frozenset((404, 429))
"""A front door that has just started knows no path yet: there was one when the call began."""

_FINAL_CODES: Final = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 4001))


@dataclass(frozen=True, slots=True)
class Backoff:
    """The first wait is below `first_s`, none is above `most_s` unless the server asks for it;
    `give_up_after_s` is counted from the loss, and is never longer than the server keeps calls."""

    first_s: float = 0.25
    most_s: float = 8.0
    give_up_after_s: float = 60.0


class Returning:
    """The attempts to come back, of one call."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._attempt = 0
        self._give_up_at = 0.0
        self._back_at: float | None = None

    def lost(self, now: float, keep_s: float) -> None:
        """The connection is gone; the server keeps the conversation for so long."""
        if self._back_at is None or now - self._back_at >= STEADY_S:
            self._attempt = 0
            self._give_up_at = now + min(self._backoff.give_up_after_s, keep_s)

    def next_at(self, now: float, chance: float, retry_after_s: float = 0.0) -> float | None:
        """When to try; None: it is time to give up. `chance`, from 0 to 1, is drawn for it."""
        backoff = self._backoff
        bound_s = min(backoff.most_s, backoff.first_s * 2**self._attempt)
        at = now + max(chance * bound_s, retry_after_s)
        self._attempt += 1
        return at if at <= self._give_up_at else None

    def back(self, now: float) -> None:
        """An attempt succeeded."""
        self._back_at = now


def may_return(close_code: int) -> bool:
    """Whether a close code leaves the conversation where it can be come back to."""
    return close_code not in _FINAL_CODES


def may_change(status: int | None) -> bool:
    """Whether a refusal by HTTP, or by the network where there is no status, may be over soon."""
    return status is None or status >= 500 or status in _PASSING_STATUS
