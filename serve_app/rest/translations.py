"""`/v1/audio/translations`: a recording → its text in English, where the recogniser translates."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from serve_app.errors import PeerError
from serve_app.rest.endpoints import Endpoint, Service, schema_of
from serve_app.rest.hearing import Hearing
from serve_app.rest.names import check_model
from serve_app.rest.transcriptions import FILE, GIVEN, Form, read_recording, told
from serve_app.rest.uploads import checked


class TranslationForm(BaseModel):
    """What is asked of a recording. `prompt` and `temperature` change nothing here."""

    model: str = Field(max_length=200, description="The deployed recogniser, or OpenAI's name.")
    prompt: str | None = Field(None, max_length=10_000)
    temperature: float | None = Field(None, ge=0, le=1)
    response_format: Form = "json"


async def translate(service: Service, request: Request) -> Response:
    """What a recording in any language says, in English; `translation_not_supported` where the
    deployed recogniser transcribes only."""
    upload = await read_recording(service, request)
    form = checked(TranslationForm, upload.fields)
    recogniser = service.stages.info["stt"]
    model = check_model(form.model, recogniser)
    if not recogniser.translates:
        text = f"{model} transcribes and does not translate: use /v1/audio/transcriptions"
        raise PeerError("translation_not_supported", text)
    # The language is the recogniser's to find: the configuration's is that of its callers.
    return await told(
        await Hearing.of(service, upload.data, None, "translate"), form.response_format
    )


ENDPOINT: Final = Endpoint(
    "POST",
    "/v1/audio/translations",
    translate,
    "Translate a recording into English",
    body={"multipart/form-data": schema_of(TranslationForm, file=FILE)},
    given=GIVEN,
    errors=(404, 408, 413, 415),
)
