"""`/v1/models`: what is deployed."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from serve_app.errors import PeerError, Stage
from serve_app.rest.answers import answer
from serve_app.rest.endpoints import Endpoint, Schema, Service
from serve_app.rest.names import model_names

_STAGES: Final[tuple[Stage, ...]] = ("stt", "llm", "tts")


async def list_models(service: Service, request: Request) -> Response:
    """The deployed models by every name that they may be called, and the stage of each."""
    del request
    return answer({"object": "list", "data": _models(service)})


async def get_model(service: Service, request: Request) -> Response:
    """One of them."""
    name = request.path_params["model"]
    for model in _models(service):
        if model["id"] == name:
            return answer(model)
    text = f"model: there is no {name[:60]!r} here"
    raise PeerError("model_not_found", text, status=404, param="model")


def _models(service: Service) -> list[dict[str, object]]:
    return [
        {"id": name, "object": "model", "created": 0, "owned_by": "parley", "stage": stage}
        for stage in _STAGES
        for name in model_names(service.stages.info[stage])
    ]


_MODEL: Final[Schema] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
        "stage": {"enum": list(_STAGES)},
    },
    "required": ["id", "object", "created", "owned_by", "stage"],
}
_LIST: Final[Schema] = {
    "type": "object",
    "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}},
    "required": ["object", "data"],
}

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/models",
        list_models,
        "The deployed models",
        given={"application/json": _LIST},
        works=False,
    ),
    Endpoint(
        "GET",
        "/v1/models/{model:path}",
        get_model,
        "One deployed model",
        parameters=(
            {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}},
        ),
        given={"application/json": _MODEL},
        errors=(404,),
        works=False,
    ),
)
