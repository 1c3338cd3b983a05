"""Ports that nothing listens on."""

from __future__ import annotations

from launcher.ports import free_range


def vacant_port() -> int:
    """A port that nothing listens on, outside the ranges that Ray and the system draw from."""
    return free_range(21_000, 28_999, 1).start
