"""Tests over real libraries: these warn of much that is not ours to mend."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A warning fails no test here; what a library leaves to the collector warns in any of them."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("default"), append=False)
