"""Ports that nothing listens on."""

from __future__ import annotations

import random

from launcher import ports


def vacant_port() -> int:
    """A port that nothing listens on, outside the ranges that Ray and the system draw from."""
    choice = range(21_000, 29_000)
    return next(p for p in random.sample(choice, len(choice)) if ports.port_is_free("", p))
