"""Which recordings are to go: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Why: TypeAlias = Literal["expired", "no_room"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording's file; `at`: when it was begun, in seconds since 1970."""

    path: Path
    at: int
    size: int


def to_remove(kept: Iterable[Kept], now: int, keep_s: float, max_bytes: float) -> dict[Path, Why]:
    """Those older than `keep_s`, and the oldest of the rest until it has `max_bytes`."""
    going: dict[Path, Why] = {}
    total = 0
    for recording in sorted(kept, key=lambda recording: recording.at, reverse=True):
        if recording.at < now - keep_s:
            going[recording.path] = "expired"
            continue
        total += recording.size
        if total > max_bytes:
            going[recording.path] = "no_room"
    return going
