"""What a key uses of its limits: the arithmetic, and one replica's own count.

The rate is that of a bucket which holds a minute's worth and fills evenly: what it needs to know of
a key is one time, the end of the line that its calls so far make (GCRA).
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from serve_app.access.settings import KeyLimits
from serve_app.errors import PeerError

Kind: TypeAlias = Literal["call", "request"]

MINUTE_S: Final = 60.0
LINE_FREE_S: Final = 5
"""When to try again where all of a key's calls are taken: nobody knows when one ends."""


@dataclass(frozen=True, slots=True)
class Use:
    """One call or request of a key, and what of the key's limits counts for it."""

    key_id: str
    kind: Kind
    at_once: int | None
    per_minute: int | None

    @staticmethod
    def of(key_id: str, kind: Kind, limits: KeyLimits) -> Use:
        """Requests are short: how many there are at once is not counted."""
        if kind == "call":
            return Use(key_id, kind, limits.calls, limits.calls_per_minute)
        return Use(key_id, kind, None, limits.requests_per_minute)

    @property
    def unlimited(self) -> bool:
        """Whether there is nothing to count."""
        return self.at_once is None and self.per_minute is None


class Limits(Protocol):
    """Counts uses in, and calls out again."""

    def held(self, use: Use) -> AbstractAsyncContextManager[None]:
        """For the time of the use. Raises PeerError (HTTP 429) where the key has used all."""
        ...


def after(line_end: float, now: float, per_minute: int) -> tuple[float, float]:
    """The line's end with one more, and how long that one has to wait, in the unit of seconds.

    It is let in at 0, and only then the new end counts.
    """
    end = max(line_end, now) + MINUTE_S / per_minute
    return end, max(0.0, end - MINUTE_S - now)


class LocalLimits:
    """One replica's count, in memory. It holds nothing for a key that did nothing for a minute."""

    def __init__(self, clock: Clock) -> None:
        """`clock` in seconds, never going back."""
        self._clock = clock
        self._calls: dict[str, int] = {}
        self._lines: dict[tuple[str, Kind], float] = {}

    @asynccontextmanager
    async def held(self, use: Use) -> AsyncGenerator[None, None]:
        """See Limits."""
        self._check_calls(use)
        self._check_rate(use)
        if use.at_once is None:
            yield
            return
        self._calls[use.key_id] = self._calls.get(use.key_id, 0) + 1
        try:
            yield
        finally:
            self._calls[use.key_id] -= 1
            if not self._calls[use.key_id]:
                del self._calls[use.key_id]

    def _check_calls(self, use: Use) -> None:
        if use.at_once is not None and self._calls.get(use.key_id, 0) >= use.at_once:
            raise all_taken(use)

    def _check_rate(self, use: Use) -> None:
        if use.per_minute is None:
            return
        now = self._clock()
        line: tuple[str, Kind] = (use.key_id, use.kind)
        end, wait_s = after(self._lines.get(line, now), now, use.per_minute)
        if wait_s > 0:
            raise too_fast(use, wait_s)
        self._lines = {name: ends for name, ends in self._lines.items() if ends > now}
        self._lines[line] = end


class Clock(Protocol):
    """A time in seconds."""

    def __call__(self) -> float: ...


def all_taken(use: Use) -> PeerError:
    """The refusal of a key that has all its calls."""
    return _refused(f"this key has its {use.at_once} calls at once", LINE_FREE_S)


def too_fast(use: Use, wait_s: float) -> PeerError:
    """The refusal of a key that asks too often."""
    return _refused(f"this key has its {use.per_minute} {use.kind}s a minute", math.ceil(wait_s))


def _refused(message: str, retry_after_s: int) -> PeerError:
    return PeerError(
        "rate_limit_exceeded", message, close_code=1013, status=429, retry_after_s=retry_after_s
    )
