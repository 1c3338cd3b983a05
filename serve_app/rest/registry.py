"""Which HTTP endpoints there are, the only place that names them all, and how they are mounted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from fastapi import FastAPI
from starlette.responses import Response

from serve_app.rest import (
    chat,
    models,
    own_data,
    speech,
    speech_to_speech,
    transcriptions,
    translations,
    voices,
)
from serve_app.rest.endpoints import Endpoint, ErrorAnswer

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    transcriptions.ENDPOINT,
    translations.ENDPOINT,
    speech.ENDPOINT,
    *voices.ENDPOINTS,
    speech_to_speech.ENDPOINT,
    chat.ENDPOINT,
    *models.ENDPOINTS,
    *own_data.ENDPOINTS,
)

ERRORS: Final = {
    400: "The request is at fault",
    404: "There is no such thing",
    408: "The upload took too long",
    409: "There is one already",
    413: "Too much at once",
    415: "Not what is read here",
    429: "Too many requests at once: come back after `retry-after` seconds",
    503: "A stage is not there, or has no room: come back after `retry-after` seconds",
    504: "A stage took too long",
}
EVERYWHERE: Final = (400, 429, 503, 504)
"""The statuses of errors that every endpoint may have."""

Handler = TypeVar("Handler", bound=Callable[..., Any])


def mounted(api: FastAPI) -> Callable[[Handler], Handler]:
    """Make a handler answer every endpoint of an application, and the OpenAPI document tell so."""

    def mount(handler: Handler) -> Handler:
        for endpoint in ENDPOINTS:
            api.add_api_route(endpoint.path, handler, methods=[endpoint.method], **_told(endpoint))
        return handler

    return mount


def _told(endpoint: Endpoint) -> dict[str, Any]:
    statuses = sorted({*EVERYWHERE, *endpoint.errors})
    errors = {status: {"description": ERRORS[status], "model": ErrorAnswer} for status in statuses}
    given = {kind: {"schema": schema} for kind, schema in endpoint.given.items()}
    operation: dict[str, Any] = {}
    if endpoint.parameters:
        operation["parameters"] = list(endpoint.parameters)
    if endpoint.body:
        content = {kind: {"schema": schema} for kind, schema in endpoint.body.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return {
        "summary": endpoint.summary,
        "description": (endpoint.answer.__doc__ or "").strip(),
        "operation_id": f"{endpoint.method.lower()}{endpoint.path}",
        "response_class": Response,
        "responses": {200: {"description": "Done", "content": given}, **errors},
        "openapi_extra": operation,
    }
