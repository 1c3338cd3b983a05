"""`/v1/audio/translations`: refused, as no recogniser here translates."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from serve_app.errors import PeerError
from serve_app.rest.endpoints import Endpoint, Service, schema_of
from serve_app.rest.names import check_model
from serve_app.rest.transcriptions import FILE, GIVEN, read_recording
from serve_app.rest.uploads import checked


class TranslationForm(BaseModel):
    """What is asked of a recording."""

    model: str = Field(max_length=200)
    prompt: str | None = Field(None, max_length=10_000)
    temperature: float | None = Field(None, ge=0, le=1)
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"


async def translate(service: Service, request: Request) -> Response:
    """Always an error, `translation_not_supported`: no recogniser here translates."""
    upload = await read_recording(service, request)
    form = checked(TranslationForm, upload.fields)
    model = check_model(form.model, service.stages.info["stt"])
    text = f"{model} transcribes and does not translate: use /v1/audio/transcriptions"
    raise PeerError("translation_not_supported", text)


ENDPOINT: Final = Endpoint(
    "POST",
    "/v1/audio/translations",
    translate,
    "Translate a recording into English",
    body={"multipart/form-data": schema_of(TranslationForm, file=FILE)},
    given=GIVEN,
    errors=(404, 408, 413, 415),
)
