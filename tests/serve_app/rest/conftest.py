"""A client of the HTTP endpoints, whose stages follow scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from serve_app.audio import speech_file
from tests.fakes import ScriptedVad
from tests.serve_app.rest.http_client import SAID, connected
from tests.serve_app.rest.speech_stages import RestFakes


@pytest.fixture(autouse=True)
def scripted_ears(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is no silence is speech."""
    monkeypatch.setattr(speech_file, "SileroVad", ScriptedVad)


@pytest.fixture
def stages() -> RestFakes:
    """Stages that hear, answer and speak."""
    return RestFakes(finals=[[SAID]], replies=[["Then ", "take one."]])


@pytest.fixture
async def client(stages: RestFakes) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the endpoints."""
    async with connected(stages) as client:
        yield client
