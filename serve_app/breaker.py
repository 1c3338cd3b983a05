"""A circuit breaker: a stage that keeps failing is left alone for a while, then tried again."""

from __future__ import annotations

THRESHOLD = 5
COOL_DOWN_S = 2.0


class Breaker:
    """Opens after THRESHOLD failures in a row; after COOL_DOWN_S lets one request try."""

    def __init__(self) -> None:
        self._failures = 0
        self._retry_at = 0.0

    def allows(self, now: float) -> bool:
        """Whether a request may go out. While open, one may every COOL_DOWN_S."""
        if self._failures < THRESHOLD:
            return True
        if now < self._retry_at:
            return False
        self._retry_at = now + COOL_DOWN_S
        return True

    def succeeded(self) -> None:
        """The stage answered: the circuit closes."""
        self._failures = 0

    def failed(self, now: float) -> None:
        """The stage did not deliver."""
        self._failures += 1
        self._retry_at = now + COOL_DOWN_S
