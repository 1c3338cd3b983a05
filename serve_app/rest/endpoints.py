"""What an HTTP endpoint is: where it is reached, what it does, how the OpenAPI document has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, cast

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from deployments.contracts import (
    AudioChunk,
    ReplyItem,
    ReplyRequest,
    SpeechRequest,
    StageInfo,
    Task,
    Transcript,
    Voice,
)
from serve_app.archive.archive import Archive
from serve_app.errors import Stage
from serve_app.load import Load
from serve_app.resume.store import ConversationStore
from serve_app.settings import Settings
from serve_app.voice_registration import VoiceRegistration

Schema: TypeAlias = Mapping[str, object]


class RestStages(Protocol):
    """What endpoints need of the stages; a call's `Stages` and more."""

    info: dict[Stage, StageInfo]

    async def check(self, voice: str | None, language: str | None) -> None:
        """Raises PeerError where no stage has the voice or the language."""
        ...

    async def transcribe(self, pcm: bytes, language: str | None, task: Task) -> Transcript:
        """What a window of 16 kHz PCM says, or that in English. Raises StageError."""
        ...

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyItem, None]:
        """A reply as it is written. Raises StageError. Close it to stop the work."""
        ...

    def speak(self, request: SpeechRequest) -> AsyncGenerator[AudioChunk, None]:
        """A phrase's audio as it is made. Raises StageError. Close it to stop the work."""
        ...

    async def voices(self) -> tuple[Voice, ...]:
        """The voices that may be asked for. Raises StageError."""
        ...

    async def register_voice(self, name: str, wav: bytes, owner: str) -> Voice:
        """Keep a voice, which is `owner`'s. Raises StageError."""
        ...

    async def voices_of(self, owner: str) -> tuple[str, ...]:
        """The names of the voices that an owner registered. Raises StageError."""
        ...

    async def voice_recording(self, name: str) -> bytes:
        """A registered voice's recording, a wav file. Raises StageError."""
        ...

    async def delete_voice(self, name: str) -> None:
        """Forget a voice. Raises StageError."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """What an endpoint works with: those of its ingress replica.

    `archive`, `conversations`: None where calls are not recorded, conversations not kept.
    `load`: where no more calls are taken, what nobody listens to is refused too.
    `windows`: whoever transcribes a recording holds it for each window, so that what a caller
    said waits behind one of them at most.
    """

    stages: RestStages
    settings: Settings
    registration: VoiceRegistration
    load: Load = field(default_factory=Load)
    archive: Archive | None = None
    conversations: ConversationStore | None = None
    windows: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path. `answer` raises PeerError and StageError.

    works     the stages work for it: it counts among the requests at once
    body      by media type, the schema of what is sent
    given     by media type, the schema of what is answered
    errors    the statuses of its errors, but for those that every endpoint has
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    answer: Callable[[Service, Request], Awaitable[Response]]
    summary: str
    given: Mapping[str, Schema]
    body: Mapping[str, Schema] = field(default_factory=dict[str, Schema])
    parameters: tuple[Schema, ...] = ()
    errors: tuple[int, ...] = ()
    works: bool = True


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """An error in OpenAI's shape."""

    error: ErrorDetail


def schema_of(model: type[BaseModel], **files: str) -> Schema:
    """The JSON schema of a request, whole in itself; `files`: fields of a form with a file each."""
    schema = model.model_json_schema()
    parts: dict[str, Any] = schema.pop("$defs", {})
    whole: dict[str, Any] = _resolved(schema, parts)
    for name, description in files.items():
        told = {"type": "string", "format": "binary", "description": description}
        whole["properties"] = {name: told, **whole["properties"]}
        whole["required"] = [name, *whole.get("required", ())]
    return whole


def _resolved(schema: Any, parts: Mapping[str, Any]) -> Any:
    """References replaced by what they name: in a document their paths would lead nowhere."""
    if isinstance(schema, list):
        return [_resolved(item, parts) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    named = cast("dict[str, Any]", schema)
    if "$ref" in named:
        return _resolved(parts[named["$ref"].rpartition("/")[2]], parts)
    return {key: _resolved(value, parts) for key, value in named.items()}
