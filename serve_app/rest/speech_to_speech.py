"""`/v1/speech-to-speech`: a recording in, the spoken answer out, streamed as it is made."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from deployments.contracts import Message, ReplyRequest, TextDelta
from serve_app.audio.encoding import MEDIA_TYPES
from serve_app.errors import PeerError
from serve_app.rest.answers import answer
from serve_app.rest.endpoints import Endpoint, Schema, Service, schema_of
from serve_app.rest.hearing import Hearing
from serve_app.rest.names import check_language, voice_name
from serve_app.rest.speaking import begun, encoded, phrases, speech, unbroken
from serve_app.rest.transcriptions import FILE, read_recording
from serve_app.rest.uploads import Upload, UploadLimits, checked, is_form, read_body

HEADER_BYTES: Final = 4_000
"""Of a text in a header: proxies refuse answers whose headers are over 8 or 16 KB in all."""


class AnswerForm(BaseModel):
    """How a recording is to be answered."""

    format: Literal["mp3", "wav", "opus", "flac"] = "mp3"
    voice: str | None = Field(None, max_length=200)
    language: str | None = Field(None, max_length=35, pattern="^[A-Za-z0-9_-]+$")
    instructions: str | None = Field(None, max_length=10_000)


@dataclass(slots=True)
class _Timings:
    """What each stage took, in ms: all of the transcript, then the first text, then the first
    sound."""

    stt: float = 0.0
    llm: float = 0.0
    tts: float = 0.0


async def converse(service: Service, request: Request) -> Response:
    """The answer to a recording as a file; `accept: application/json` has it with the texts.

    The recording is a form's `file`, or the body itself; then the fields are the query's.
    """
    upload = await _upload(service, request)
    form = checked(AnswerForm, upload.fields)
    stages, settings = service.stages, service.settings
    voice = voice_name(form.voice, settings.voice, stages.info["tts"])
    language = form.language or settings.language
    for stage in ("stt", "tts"):
        check_language(language, stages.info[stage])
    await stages.check(voice, None)

    timings, loop = _Timings(), asyncio.get_running_loop()
    began_at = loop.time()
    transcript = await _heard(service, upload.data, language)
    timings.stt = (loop.time() - began_at) * 1000
    reply = await _written(service, transcript, form.instructions, timings)
    said = phrases(reply, language)
    began_at = loop.time()
    pcm = await begun(speech(stages, said, voice, language))
    timings.tts = (loop.time() - began_at) * 1000
    file = encoded(pcm, form.format)
    media_type = MEDIA_TYPES[form.format]
    if "application/json" in request.headers.get("accept", ""):
        async with aclosing(file):
            audio = b"".join([data async for data in file])
        return answer(_whole(transcript, reply, timings, media_type, audio))
    headers = _headers(transcript, reply, timings)
    return StreamingResponse(unbroken(file), headers=headers, media_type=media_type)


async def _upload(service: Service, request: Request) -> Upload:
    query = dict(request.query_params)
    if is_form(request):
        upload = await read_recording(service, request)
        return Upload(upload.data, {**query, **upload.fields})
    limits = service.settings.rest
    data = await read_body(
        request, UploadLimits(limits.max_upload_mb * 1024**2, limits.max_upload_s)
    )
    if not data:
        raise PeerError("missing_field", "file: the body is empty", param="file")
    return Upload(data, query)


async def _heard(service: Service, data: bytes, language: str | None) -> str:
    hearing = await Hearing.of(service, data, language)
    heard = await hearing.all()
    if not heard.text:
        raise PeerError("no_speech", "file: no words were heard in it", param="file")
    return heard.text


async def _written(
    service: Service, transcript: str, instructions: str | None, timings: _Timings
) -> str:
    """The reply, whole: the headers that have it come before the sound."""
    system = Message("system", instructions or service.settings.instructions)
    asked = ReplyRequest((system, Message("user", transcript)))
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    reply = ""
    async with aclosing(service.stages.reply(asked)) as items:
        async for item in items:
            if not reply:
                timings.llm = (loop.time() - began_at) * 1000
            if isinstance(item, TextDelta):
                reply += item.text
    return reply.strip()


def _headers(transcript: str, reply: str, timings: _Timings) -> Mapping[str, str]:
    stages = {"stt": timings.stt, "llm": timings.llm, "tts": timings.tts}
    return {
        "x-transcript": header_text(transcript),
        "x-reply": header_text(reply),
        "server-timing": ", ".join(f"{name};dur={ms:.1f}" for name, ms in stages.items()),
    }


def header_text(text: str) -> str:
    """A text as a header has it: UTF-8, percent-encoded; what is too long is cut."""
    encoded_text, size = "", 0
    for character in text:
        piece = quote(character, safe=" !'()*,;:@$+?/")
        size += len(piece)
        if size > HEADER_BYTES:
            break
        encoded_text += piece
    return encoded_text


def _whole(
    transcript: str, reply: str, timings: _Timings, media_type: str, audio: bytes
) -> dict[str, object]:
    return {
        "transcript": transcript,
        "reply": reply,
        "timings": {
            "stt_ms": round(timings.stt, 1),
            "llm_ms": round(timings.llm, 1),
            "tts_ms": round(timings.tts, 1),
        },
        "media_type": media_type,
        "audio": base64.b64encode(audio).decode(),
    }


_BINARY: Final[Schema] = {"type": "string", "format": "binary"}
_ANSWER: Final[Schema] = {
    "type": "object",
    "properties": {
        "transcript": {"type": "string"},
        "reply": {"type": "string"},
        "timings": {"type": "object"},
        "media_type": {"type": "string"},
        "audio": {"type": "string", "contentEncoding": "base64"},
    },
    "required": ["transcript", "reply", "timings", "media_type", "audio"],
}

ENDPOINT: Final = Endpoint(
    "POST",
    "/v1/speech-to-speech",
    converse,
    "Answer a recording",
    body={
        "multipart/form-data": schema_of(AnswerForm, file=FILE),
        "application/octet-stream": _BINARY,
    },
    parameters=tuple(
        {"name": name, "in": "query", "schema": schema}
        for name, schema in AnswerForm.model_json_schema()["properties"].items()
    ),
    given={
        **{MEDIA_TYPES[name]: _BINARY for name in ("mp3", "wav", "opus", "flac")},
        "application/json": _ANSWER,
    },
    errors=(408, 413, 415),
)
