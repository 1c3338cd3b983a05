"""What becomes of the calls of a replica that is to stop: who leaves when. Pure.

a new call              is refused: another replica takes it
one that can come back  leaves at its next quiet moment, once another replica runs, and in
                        `budget_s` whatever it is doing
one that cannot         goes on until the grace period, after which Serve ends the replica, is
                        nearly over
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from serve_app.errors import ConfigError, PeerError

CLOSING_S: Final = 5.0
"""Before the grace period is over every call is ended: for its last words, and its snapshot."""

TOGETHER: Final = 8
"""Calls that leave in one look, so that they do not all come back at once."""

RETRY_AFTER_S: Final = 1


class Leaver(Protocol):
    """A call, as far as it matters here."""

    @property
    def returns(self) -> bool:
        """Its client can come back to the conversation."""
        ...

    @property
    def quiet(self) -> bool:
        """It is between turns."""
        ...


Call = TypeVar("Call", bound=Leaver)


def check_budget(budget_s: float, grace_s: float, grace_setting: str) -> None:
    """Raises ConfigError where the grace period would cut calls before they are moved."""
    if budget_s > grace_s - CLOSING_S:
        raise ConfigError(
            f"limits.drain_s is {budget_s:g}, and a replica is ended {grace_s:g} s after it is "
            f"told to stop: lower it to {max(0.0, grace_s - CLOSING_S):g} or less, "
            f"or raise {grace_setting}"
        )


class Draining:
    """One replica's. `now` in seconds of one clock."""

    def __init__(self, budget_s: float, grace_s: float) -> None:
        self._budget_s = budget_s
        self._last_s = grace_s - CLOSING_S
        self._since: float | None = None
        self._elsewhere = False

    @property
    def stopping(self) -> bool:
        """This replica is to stop."""
        return self._since is not None

    def told(self, running: bool, others: int, now: float) -> None:
        """Whether this replica is to run on, and how many others there are to call."""
        self._elsewhere = others > 0
        if running:
            self._since = None
        elif self._since is None:
            self._since = now

    def check(self) -> None:
        """Raises PeerError where no new call should begin here."""
        if self.stopping:
            raise PeerError(
                "stopping",
                "this server is about to stop, call again",
                close_code=1013,
                status=503,
                retry_after_s=RETRY_AFTER_S,
            )

    def leaving(self, calls: Iterable[Call], now: float) -> list[Call]:
        """The calls that are to leave now."""
        if self._since is None:
            return []
        spent_s = now - self._since
        if spent_s >= self._last_s:
            return list(calls)
        returning = [call for call in calls if call.returns]
        if spent_s >= self._budget_s:
            return returning
        return [call for call in returning if call.quiet][:TOGETHER] if self._elsewhere else []
