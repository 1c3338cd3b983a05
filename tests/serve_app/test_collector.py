"""serve_app.collector: a whole collection comes soon, however much was loaded."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from serve_app.collector import keep_what_is_loaded

LOADED, NEW = 600_000, 100_000


@pytest.fixture
def loaded() -> Iterator[list[list[int]]]:
    """As many objects as a replica has, once they were collected with the rest."""
    yield [[] for _ in range(LOADED)]
    gc.unfreeze()


def test_what_is_new_is_collected_whatever_was_loaded(loaded: list[list[int]]) -> None:
    """Otherwise it would have to be a quarter of it."""
    assert len(loaded) == LOADED
    keep_what_is_loaded()
    before = gc.get_stats()[2]["collections"]
    new: list[list[int]] = [[] for _ in range(NEW)]
    assert len(new) == NEW
    assert gc.get_stats()[2]["collections"] > before
