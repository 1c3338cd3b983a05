"""`/v1/audio/transcriptions`: a recording → its text (docs/protocol-openai-audio.md)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from serve_app.errors import PeerError, StageError
from serve_app.rest.answers import DONE, answer, error_event, event
from serve_app.rest.endpoints import Endpoint, Schema, Service, schema_of
from serve_app.rest.hearing import Hearing
from serve_app.rest.names import check_language, check_model
from serve_app.rest.transcript import srt, verbose, vtt
from serve_app.rest.uploads import Upload, UploadLimits, checked, read_form

FILE: Final = "Wav, mp3, flac, Ogg, WebM, m4a or aac."
Form: TypeAlias = Literal["json", "text", "srt", "verbose_json", "vtt"]
"""What the text is told in."""

_MS_A_TOKEN: Final = 100
_CHARS_A_TOKEN: Final = 4


class TranscriptionForm(BaseModel):
    """What is asked of a recording. `prompt` and `temperature` change nothing here."""

    model: str = Field(max_length=200, description="The deployed recogniser, or OpenAI's name.")
    language: str | None = Field(None, max_length=35, pattern="^[A-Za-z0-9_-]+$")
    prompt: str | None = Field(None, max_length=10_000)
    temperature: float | None = Field(None, ge=0, le=1)
    response_format: Form = "json"
    stream: bool = False
    timestamp_granularities: list[Literal["word", "segment"]] = Field(
        default_factory=list[Literal["word", "segment"]],
        alias="timestamp_granularities[]",
        max_length=2,
    )


async def transcribe(service: Service, request: Request) -> Response:
    """The text of a recording, with times where `response_format` has them; streamed, the text
    comes window by window."""
    upload = await read_recording(service, request)
    form = checked(TranscriptionForm, upload.fields)
    if form.timestamp_granularities and form.response_format != "verbose_json":
        param = "timestamp_granularities"
        text = f"{param}: these need response_format verbose_json"
        raise PeerError("invalid_value", text, param=param)
    if form.stream and form.response_format not in ("json", "text"):
        text = f"stream: {form.response_format} is not streamed, json and text are"
        raise PeerError("invalid_value", text, param="stream")
    recogniser = service.stages.info["stt"]
    check_model(form.model, recogniser)
    language = form.language or service.settings.language
    check_language(language, recogniser)
    hearing = await Hearing.of(service, upload.data, language)
    if form.stream:
        return StreamingResponse(_events(hearing), media_type="text/event-stream")
    return await told(hearing, form.response_format, form.timestamp_granularities)


async def read_recording(service: Service, request: Request) -> Upload:
    """The form with its file. Raises PeerError."""
    limits = service.settings.rest
    return await read_form(
        request, "file", UploadLimits(limits.max_upload_mb * 1024**2, limits.max_upload_s)
    )


async def told(hearing: Hearing, form: Form, granularities: Sequence[str] = ()) -> Response:
    """All that is said in a recording, once it was heard. Raises PeerError, StageError."""
    heard = await hearing.all()
    seconds = round(hearing.seconds, 3)
    usage = {"type": "duration", "seconds": seconds}
    match form:
        case "json":
            return answer({"text": heard.text, "usage": usage})
        case "verbose_json":
            whole = verbose(heard, seconds, granularities, hearing.task)
            return answer({**whole, "usage": usage})
        case "text":
            return PlainTextResponse(f"{heard.text}\n")
        case "srt":
            return PlainTextResponse(srt(heard.segments))
        case "vtt":
            return PlainTextResponse(vtt(heard.segments))


async def _events(hearing: Hearing) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(hearing.deltas()) as deltas:
            async for delta in deltas:
                yield event({"type": "transcript.text.delta", "delta": delta})
    except (PeerError, StageError) as error:
        yield error_event(error)
        return
    text = hearing.heard.text
    heard, written = int(hearing.seconds * 1000) // _MS_A_TOKEN, -(-len(text) // _CHARS_A_TOKEN)
    usage = {
        "type": "tokens",
        "input_tokens": heard,
        "output_tokens": written,
        "total_tokens": heard + written,
    }
    yield event({"type": "transcript.text.done", "text": text, "usage": usage})
    yield DONE


_TRANSCRIPTION: Final[Schema] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "task": {"enum": ["transcribe", "translate"]},
        "language": {"type": "string"},
        "duration": {"type": "number"},
        "words": {"type": "array", "items": {"type": "object"}},
        "segments": {"type": "array", "items": {"type": "object"}},
        "usage": {"type": "object"},
    },
    "required": ["text"],
}
GIVEN: Final[dict[str, Schema]] = {
    "application/json": _TRANSCRIPTION,
    "text/plain": {"type": "string"},
}

ENDPOINT: Final = Endpoint(
    "POST",
    "/v1/audio/transcriptions",
    transcribe,
    "Transcribe a recording",
    body={"multipart/form-data": schema_of(TranscriptionForm, file=FILE)},
    given={**GIVEN, "text/event-stream": {"type": "string"}},
    errors=(404, 408, 413, 415),
)
