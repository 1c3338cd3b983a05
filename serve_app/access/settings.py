"""What an operator sets of access, and what the environment says in its place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from serve_app.access import origins
from serve_app.environments import ROOT

KEYS_FILE = "PARLEY_KEYS_FILE"
ALLOW_ANONYMOUS = "PARLEY_ALLOW_ANONYMOUS"

Count = Annotated[int, Field(ge=1, le=1_000_000)]


class KeyLimits(BaseModel):
    """What one key may use; None: as much as there is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: Count | None = None
    """Calls at once."""
    calls_per_minute: Count | None = None
    """Calls begun. A minute's worth may come at once, then they are spread evenly."""
    requests_per_minute: Count | None = None
    """HTTP requests, likewise."""


class AuthSettings(BaseModel):
    """Who may call (docs/security.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys_file: str | None = None
    """The keys' hashes, one a line; with it nobody is served without a key. A relative path starts
    at the repository; PARLEY_KEYS_FILE wins."""
    allow_anonymous: bool = False
    """Other addresses than this machine's own may be served without keys;
    PARLEY_ALLOW_ANONYMOUS=1 wins."""
    origins: tuple[str, ...] = ()
    """Pages elsewhere that browsers may call from, as `https://app.example.org`."""
    each_key: KeyLimits = KeyLimits()
    """What a key may use whose line does not say."""
    redis_url: str | None = None
    """A Redis in which all replicas count together: `redis://host:6379/0`."""

    @field_validator("origins")
    @classmethod
    def _canonical(cls, listed: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origins.canonical(origin) for origin in listed)


def from_environment(auth: AuthSettings) -> AuthSettings:
    """The settings, with what the environment says laid over them and the path made whole."""
    keys_file = os.environ.get(KEYS_FILE, "").strip() or auth.keys_file
    anonymous = auth.allow_anonymous or os.environ.get(ALLOW_ANONYMOUS, "") == "1"
    if keys_file is not None:
        keys_file = str(ROOT / Path(keys_file).expanduser())
    return auth.model_copy(update={"keys_file": keys_file, "allow_anonymous": anonymous})
