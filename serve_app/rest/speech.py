"""`/v1/audio/speech`: a text → its speech, streamed as it is made."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from serve_app.audio.encoding import MEDIA_TYPES, RATE, FileFormat
from serve_app.errors import PeerError, StageError
from serve_app.rest.answers import DONE, error_event, event
from serve_app.rest.endpoints import Endpoint, Schema, Service, schema_of
from serve_app.rest.names import VoiceId, check_language, check_model, voice_name
from serve_app.rest.speaking import BytesStream, begun, encoded, phrases, speech, unbroken
from serve_app.rest.uploads import read_json

MAX_CHARS: Final = 8_000

_BINARY: Final[Schema] = {"type": "string", "format": "binary"}
_CHARS_A_TOKEN: Final = 4
_MS_A_TOKEN: Final = 50


class SpeechBody(BaseModel):
    """What is to be spoken, and how. `instructions` change nothing here."""

    input: str = Field(min_length=1, max_length=MAX_CHARS)
    model: str = Field(max_length=200, description="The deployed voice model, or OpenAI's name.")
    voice: str | VoiceId | None = None
    instructions: str | None = Field(None, max_length=10_000)
    language: str | None = Field(None, max_length=35, pattern="^[A-Za-z0-9_-]+$")
    response_format: FileFormat = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio", "sse"] = "audio"


async def speak(service: Service, request: Request) -> Response:
    """The speech of a text as a file, or as events that carry it in base64."""
    body = await read_json(request, SpeechBody)
    stages, settings = service.stages, service.settings
    voices = stages.info["tts"]
    check_model(body.model, voices)
    language = body.language or settings.language
    check_language(language, voices)
    voice = voice_name(body.voice, settings.voice, voices)
    await stages.check(voice, None)
    said = phrases(body.input, language)
    if not said:
        raise PeerError("invalid_value", "input: there is nothing to say in it", param="input")
    counted = _Counted()
    pcm = counted.all(speech(stages, said, voice, language))
    file = encoded(await begun(pcm), body.response_format, body.speed)
    if body.stream_format == "sse":
        events = _events(file, counted, len(body.input))
        return StreamingResponse(events, media_type="text/event-stream")
    return StreamingResponse(unbroken(file), media_type=MEDIA_TYPES[body.response_format])


class _Counted:
    """How much speech passed."""

    def __init__(self) -> None:
        self.bytes = 0

    async def all(self, pieces: BytesStream) -> BytesStream:
        async with aclosing(pieces):
            async for pcm in pieces:
                self.bytes += len(pcm)
                yield pcm

    @property
    def tokens(self) -> int:
        return self.bytes * 1000 // (2 * RATE * _MS_A_TOKEN)


async def _events(file: BytesStream, made: _Counted, chars: int) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(file):
            async for data in file:
                audio = base64.b64encode(data).decode()
                yield event({"type": "speech.audio.delta", "audio": audio})
    except StageError as error:
        yield error_event(error)
        return
    read = -(-chars // _CHARS_A_TOKEN)
    usage = {
        "input_tokens": read,
        "output_tokens": made.tokens,
        "total_tokens": read + made.tokens,
    }
    yield event({"type": "speech.audio.done", "usage": usage})
    yield DONE


ENDPOINT: Final = Endpoint(
    "POST",
    "/v1/audio/speech",
    speak,
    "Speak a text",
    body={"application/json": schema_of(SpeechBody)},
    given={
        **{media_type.partition(";")[0]: _BINARY for media_type in MEDIA_TYPES.values()},
        "text/event-stream": {"type": "string"},
    },
    errors=(404, 408, 413, 415),
)
