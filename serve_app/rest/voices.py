"""`/v1/audio/voices`: uploads are bounded and checked here, and the voice's stage keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from deployments.contracts import Cloning, StageInfo, Voice
from deployments.logs import logger
from serve_app.audio.recording import read_recording
from serve_app.errors import PeerError, Stage, StageError, StageRefused
from serve_app.rest.answers import answer, failure, refusal

log = logger("voices")

MAX_UPLOAD_BYTES = 10 * 1024 * 1024
UPLOAD_S = 60.0
"""How long an upload may take."""
AT_ONCE = 2
"""Uploads that one replica takes at once: each is up to 10 MB, and decoding takes a core."""

_STATUS = {"voice_not_found": 404, "voice_exists": 409}


class VoiceStage(Protocol):
    """What is needed of the stages."""

    info: dict[Stage, StageInfo]

    async def voices(self) -> tuple[Voice, ...]:
        """The voices that may be asked for. Raises StageError."""
        ...

    async def register_voice(self, name: str, wav: bytes) -> Voice:
        """Keep a voice. Raises StageError."""
        ...

    async def delete_voice(self, name: str) -> None:
        """Forget a voice. Raises StageError."""
        ...


class VoicesEndpoint:
    """The three verbs of one ingress replica."""

    def __init__(self, stages: VoiceStage) -> None:
        self._stages = stages
        self._uploads = 0

    async def list(self) -> JSONResponse:
        """All voices: the model's own, then the registered ones."""
        try:
            voices = await self._stages.voices()
        except StageError as error:
            return _failed(error)
        return answer({"object": "list", "data": [_described(voice) for voice in voices]})

    async def register(self, request: Request) -> JSONResponse:
        """Multipart `name`, `audio_sample` and `consent` → the voice."""
        try:
            cloning = self._cloning()
            self._admit()
            try:
                name, data = await _upload(request)
                wav = await asyncio.to_thread(read_recording, data, cloning.min_s, cloning.max_s)
            finally:
                self._uploads -= 1
            voice = await self._stages.register_voice(name, wav)
        except PeerError as error:
            return refusal(error)
        except StageError as error:
            return _failed(error)
        return answer(_described(voice))

    async def delete(self, name: str) -> JSONResponse:
        """Forget a registered voice."""
        try:
            await self._stages.delete_voice(name)
        except StageError as error:
            return _failed(error)
        return answer({"id": name, "object": "audio.voice", "deleted": True})

    def _cloning(self) -> Cloning:
        tts = self._stages.info.get("tts")
        if tts is None:
            raise PeerError("not_ready", "the models are loading", status=503)
        if tts.cloning is None:
            text = f"{tts.backend} has voices of its own alone"
            raise PeerError("cloning_not_supported", text)
        return tts.cloning

    def _admit(self) -> None:
        if self._uploads >= AT_ONCE:
            raise PeerError("rate_limit_exceeded", "other uploads are under way", status=429)
        self._uploads += 1


async def _upload(request: Request) -> tuple[str, bytes]:
    """The name and the file. Raises PeerError."""
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise PeerError("invalid_content_type", "send multipart/form-data", status=415)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_UPLOAD_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(UPLOAD_S), aclosing(_bounded(request)) as chunks:
            parser = MultiPartParser(request.headers, chunks, max_files=1, max_fields=8)
            parser.spool_max_size = MAX_UPLOAD_BYTES + 1  # Never to disk: nothing is checked yet.
            form = await parser.parse()
    except TimeoutError:
        text = f"the upload took longer than {UPLOAD_S:g} s"
        raise PeerError("upload_timeout", text, status=408) from None
    except ClientDisconnect:
        raise PeerError("upload_cancelled", "the client went away") from None
    except (MultiPartException, FormParserError) as error:
        raise PeerError("invalid_form", "the form cannot be read") from error
    try:
        return await _fields(form)
    finally:
        await form.close()


async def _fields(form: FormData) -> tuple[str, bytes]:
    name, sample, consent = form.get("name"), form.get("audio_sample"), form.get("consent")
    if not isinstance(name, str) or not name:
        raise PeerError("missing_field", "name: what the voice is to be called")
    if not isinstance(sample, UploadFile):
        raise PeerError("missing_field", "audio_sample: the recording, as a file")
    if consent != "true":
        text = "consent: 'true', if the person recorded agrees that their voice is imitated"
        raise PeerError("consent_required", text)
    return name, await sample.read()


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    size = 0
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > MAX_UPLOAD_BYTES:
                raise _too_large()
            yield chunk


def _too_large() -> PeerError:
    text = f"an upload is at most {MAX_UPLOAD_BYTES // 1024**2} MB"
    return PeerError("upload_too_large", text, status=413)


def _described(voice: Voice) -> dict[str, object]:
    """OpenAI's voice; `type` is ours where it is the model's own, and `seconds` too."""
    fields = {"id": voice.name, "object": "audio.voice", "name": voice.name}
    if voice.created_at is None:
        return {**fields, "created_at": 0, "type": "model"}
    own = {"created_at": voice.created_at, "type": "audio_sample", "seconds": voice.seconds}
    return {**fields, **own}


def _failed(error: StageError) -> JSONResponse:
    if isinstance(error, StageRefused):
        return refusal(PeerError(error.fault, error.told, status=_STATUS.get(error.fault, 400)))
    log.warning("voices: %s", error)
    return failure(error)
