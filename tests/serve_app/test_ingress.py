"""serve_app.ingress: the parts that need no graph."""

from __future__ import annotations

import warnings

import pytest

from serve_app.pause_judge import ThreadedJudge

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_app.ingress import _new_judge


def test_silence_asks_no_judge() -> None:
    """The pause alone decides: no network is loaded and no thread kept."""
    assert _new_judge("silence") is None


@pytest.mark.parametrize("name", ["energy", "smart-turn"])
async def test_each_detector_has_its_judge(name: str) -> None:
    """It answers before the first call does."""
    judge = _new_judge(name)
    assert isinstance(judge, ThreadedJudge)
    assert await judge.judge(bytes(32_000)) is not None
    judge.close()
