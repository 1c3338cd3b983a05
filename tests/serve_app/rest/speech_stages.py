"""Stages for tests of the HTTP endpoints, and an application that has these mounted."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import FastAPI, Request

from deployments.contracts import (
    AudioChunk,
    Cloning,
    ReplyItem,
    ReplyRequest,
    SpeechRequest,
    StageInfo,
    Task,
    Transcript,
    Voice,
)
from serve_app.errors import PeerError, StageRefused
from serve_app.load import Load
from serve_app.rest.endpoints import Service
from serve_app.rest.entrance import Entrance
from serve_app.rest.registry import mounted
from serve_app.settings import Settings, StageSettings
from serve_app.voice_registration import VoiceRegistration
from tests.fakes import Asked, FakeStages

NOW = 1_700_000_000
STAGE = StageSettings(backend="fake")


class RestFakes:
    """RestStages: a FakeStages by its scripts, and voices that are kept."""

    def __init__(self, **scripts: Any) -> None:
        self.fake = FakeStages(**scripts)
        self.info: dict[Any, StageInfo] = {
            "stt": StageInfo(
                "listener", languages=("en", "de"), translates=True, details={"model": "small"}
            ),
            "llm": StageInfo("writer", details={"model": "Org/Writer-1"}),
            "tts": StageInfo("cloner", voices=("robot",), cloning=Cloning(min_s=3.0)),
        }
        self.kept: dict[str, bytes] = {}
        self.owners: dict[str, str] = {}
        self.error: Exception | None = None

    async def check(self, voice: str | None, language: str | None) -> None:
        """See RestStages."""
        del language
        if voice is not None and voice not in {known.name for known in await self.voices()}:
            raise PeerError("invalid_request_error", f"voice: there is no {voice} here")

    async def transcribe(self, pcm: bytes, language: str | None, task: Task) -> Transcript:
        """See RestStages."""
        return await self.fake.hear_window(Asked(pcm, 0, True, language, task))

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyItem, None]:
        """See RestStages."""
        return self.fake.reply(request)

    def speak(self, request: SpeechRequest) -> AsyncGenerator[AudioChunk, None]:
        """See RestStages."""
        return self.fake.speak(request)

    async def voices(self) -> tuple[Voice, ...]:
        """See RestStages."""
        self._fail()
        return (Voice("robot"), *(Voice(name, NOW, 4.0) for name in self.kept))

    async def register_voice(self, name: str, wav: bytes, owner: str) -> Voice:
        """See RestStages."""
        self._fail()
        self.kept[name] = wav
        self.owners[name] = owner
        return Voice(name, NOW, 4.0)

    async def voices_of(self, owner: str) -> tuple[str, ...]:
        """See RestStages."""
        self._fail()
        return tuple(name for name in self.kept if self.owners[name] == owner)

    async def voice_recording(self, name: str) -> bytes:
        """See RestStages."""
        return self.kept[name]

    async def delete_voice(self, name: str) -> None:
        """See RestStages."""
        self._fail()
        if self.kept.pop(name, None) is None:
            raise StageRefused("tts", f"there is no registered voice {name!r}", "voice_not_found")

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def application(stages: RestFakes, load: Load | None = None, **settings: Any) -> FastAPI:
    """The endpoints, as the ingress has them."""
    known = Settings(stt=STAGE, llm=STAGE, tts=STAGE, instructions="Be brief.", **settings)
    entrance = Entrance(Service(stages, known, VoiceRegistration(stages), load or Load()))
    api = FastAPI(title="Parley", docs_url=None, redoc_url=None)

    @mounted(api)
    async def rest(request: Request) -> Any:
        return entrance.answer(request)

    assert rest
    return api
