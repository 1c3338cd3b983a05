"""`/v1/audio/voices`: register, list and delete voices (docs/voices.md)."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from deployments.contracts import Voice
from serve_app.access.door import visitor_of
from serve_app.errors import PeerError
from serve_app.rest.answers import answer, long_answer
from serve_app.rest.endpoints import Endpoint, Schema, Service, schema_of
from serve_app.rest.uploads import UploadLimits, checked, read_form

MAX_UPLOAD_BYTES = 10 * 1024 * 1024
UPLOAD_S = 60.0
"""How long an upload may take."""

PATH: Final = "/v1/audio/voices"


class VoiceForm(BaseModel):
    """What is said with a recording."""

    name: str = Field(description="What the voice is to be called.")
    consent: Literal["true"] = Field(
        description="The person recorded agrees that their voice is imitated."
    )


async def list_voices(service: Service, request: Request) -> Response:
    """All voices: the model's own, then the registered ones."""
    voices = await service.stages.voices()
    data = [_described(voice) for voice in voices]
    return long_answer(request, {"object": "list", "data": data})


async def register_voice(service: Service, request: Request) -> Response:
    """Multipart `name`, `audio_sample` and `consent` → the voice."""
    with service.registration.room():
        limits = UploadLimits(MAX_UPLOAD_BYTES, UPLOAD_S)
        upload = await read_form(request, "audio_sample", limits)
        if "name" in upload.fields and upload.fields.get("consent") != "true":
            text = "consent: 'true', if the person recorded agrees that their voice is imitated"
            raise PeerError("consent_required", text, param="consent")
        form = checked(VoiceForm, upload.fields)
        owner = visitor_of(request.scope).owner
        voice = await service.registration.register(form.name, upload.data, owner)
    return answer(_described(voice))


async def delete_voice(service: Service, request: Request) -> Response:
    """Forget a registered voice."""
    name = request.path_params["name"]
    await service.stages.delete_voice(name)
    return answer({"id": name, "object": "audio.voice", "deleted": True})


def _described(voice: Voice) -> dict[str, object]:
    """OpenAI's voice; `type` is ours where it is the model's own, and `seconds` too."""
    fields = {"id": voice.name, "object": "audio.voice", "name": voice.name}
    if voice.created_at is None:
        return {**fields, "created_at": 0, "type": "model"}
    own = {"created_at": voice.created_at, "type": "audio_sample", "seconds": voice.seconds}
    return {**fields, **own}


_VOICE: Final[Schema] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "audio.voice"},
        "name": {"type": "string"},
        "created_at": {"type": "integer"},
        "type": {"enum": ["model", "audio_sample"]},
        "seconds": {"type": "number"},
    },
    "required": ["id", "object", "name", "created_at", "type"],
}
_LIST: Final[Schema] = {
    "type": "object",
    "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _VOICE}},
    "required": ["object", "data"],
}
_DELETED: Final[Schema] = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "deleted": {"const": True}},
    "required": ["id", "deleted"],
}

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        PATH,
        list_voices,
        "The voices that may be asked for",
        given={"application/json": _LIST},
        works=False,
    ),
    Endpoint(
        "POST",
        PATH,
        register_voice,
        "Register a voice by a recording",
        body={
            "multipart/form-data": schema_of(VoiceForm, audio_sample="The recording, up to 10 MB.")
        },
        given={"application/json": _VOICE},
        errors=(408, 409, 413, 415),
        works=False,
    ),
    Endpoint(
        "DELETE",
        f"{PATH}/{{name}}",
        delete_voice,
        "Delete a registered voice",
        parameters=(
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
        ),
        given={"application/json": _DELETED},
        errors=(404,),
        works=False,
    ),
)
