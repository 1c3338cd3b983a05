"""Stages for tests of the HTTP endpoints, and an application that has these mounted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request

from deployments.contracts import Cloning, StageInfo, Transcript, Voice
from serve_app.errors import StageRefused
from serve_app.rest.endpoints import Service
from serve_app.rest.entrance import Entrance
from serve_app.rest.limits import RestLimits
from serve_app.rest.registry import mounted
from serve_app.settings import Settings, StageSettings
from serve_app.voice_registration import VoiceRegistration
from tests.fakes import Asked, FakeStages

NOW = 1_700_000_000


def infos() -> dict[Any, StageInfo]:
    """What the stages say of themselves."""
    return {
        "stt": StageInfo("listener", languages=("en", "de"), details={"model": "small.en"}),
        "llm": StageInfo("writer", details={"model": "Org/Writer-1"}),
        "tts": StageInfo("cloner", voices=("robot",), cloning=Cloning(min_s=3.0)),
    }


@dataclass(slots=True)
class RestFakes(FakeStages):
    """RestStages by scripts. `kept`: the voices that were registered."""

    kept: dict[str, bytes] | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        """With a model for each stage."""
        self.info = infos()
        self.kept = {}

    async def transcribe(self, pcm: bytes, language: str | None) -> Transcript:
        """See RestStages."""
        return await self.hear_window(Asked(pcm, 0, True, language))

    async def voices_known(self) -> tuple[Voice, ...]:
        """The voices that may be asked for."""
        assert self.kept is not None
        return (Voice("robot"), *(Voice(name, NOW, 4.0) for name in self.kept))
