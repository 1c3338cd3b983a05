"""What tests of the application need: metrics that go nowhere."""

from __future__ import annotations

import warnings
from unittest.mock import MagicMock

import pytest

with warnings.catch_warnings():
    # Ray trips over pydantic 2's deprecations while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_app import metrics


@pytest.fixture(autouse=True)
def no_metrics(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """Ray's metrics belong to a replica; here they are recorded."""
    recorded = MagicMock()
    monkeypatch.setattr(metrics, "_metrics", lambda: recorded)
    return recorded
