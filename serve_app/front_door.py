"""What is in front of the ingress, and how long it lets calls live: Serve's flags (`serve.env`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from serve_app.errors import ConfigError

_DRAINING: Final = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
_HARD_STOP: Final = "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """`fast`: HAProxy, in place of Serve's own proxy.

    Only with it: `draining_s` after a replica is told to stop its calls are cut, and
    `hard_stop_s` after a change of replicas or routes those that came by the HAProxy before.
    """

    fast: bool = False
    draining_s: float = 30.0
    hard_stop_s: float = 120.0

    def grace_s(self, graceful_shutdown_timeout_s: float) -> float:
        """How long a call may go on at a replica that is to stop."""
        return self.draining_s if self.fast else graceful_shutdown_timeout_s

    @property
    def grace_setting(self) -> str:
        """What an operator changes that by."""
        return _DRAINING if self.fast else "graceful_shutdown_timeout_s of the Ingress"

    def check_longest(self, max_call_s: float) -> None:
        """Raises ConfigError where this front door would cut the longest call."""
        lives = {_DRAINING: self.draining_s, _HARD_STOP: self.hard_stop_s}
        for flag, seconds in lives.items():
            if self.fast and max_call_s > seconds:
                raise ConfigError(
                    f"limits.max_call_s is {max_call_s:g}, and {flag} would cut a call after "
                    f"{seconds:g} s: lower the one, or raise the other (serve.env)"
                )


def from_flags(flags: Mapping[str, str]) -> FrontDoor:
    """What these say, with Serve's own defaults. Raises ConfigError."""
    usual = FrontDoor()
    return FrontDoor(
        fast=flags.get("RAY_SERVE_ENABLE_HA_PROXY", "0") == "1",
        draining_s=_seconds(flags, _DRAINING, usual.draining_s),
        hard_stop_s=_seconds(flags, _HARD_STOP, usual.hard_stop_s),
    )


def _seconds(flags: Mapping[str, str], flag: str, usual: float) -> float:
    given = flags.get(flag)
    try:
        return usual if given is None else float(given)
    except ValueError:
        raise ConfigError(f"{flag} is no number of seconds: {given}") from None
