"""Answers in the shape that OpenAI's clients read, errors above all."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.logs import logger
from serve_app.dialects.json_text import dump
from serve_app.errors import ParleyError, PeerError, StageError, StageOverloaded, StageRefused

log = logger("rest")

RETRY_AFTER_S = 1

_STAGE_STATUS = {"stage_timeout": 504}
_FAULT_STATUS = {"voice_not_found": 404, "voice_exists": 409}


def answer(content: object) -> JSONResponse:
    """JSON."""
    return JSONResponse(content)


def long_answer(request: Request, content: object) -> Response:
    """JSON, compressed where the client can unpack it: a list that is much longer than it says."""
    response: Response = JSONResponse(content)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers = {"content-encoding": "gzip"}
        packed = gzip.compress(response.body, compresslevel=5, mtime=0)
        response = Response(packed, headers=headers, media_type="application/json")
    response.headers["vary"] = "accept-encoding"
    return response


def error_answer(error: ParleyError) -> JSONResponse:
    """The answer to a request that failed."""
    status, told = _told(error)
    asked_s = error.retry_after_s if isinstance(error, PeerError) else None
    headers = {"retry-after": str(asked_s or RETRY_AFTER_S)} if status in (429, 503) else None
    return JSONResponse({"error": told}, status, headers)


def event(fields: Mapping[str, object]) -> bytes:
    """A server-sent event."""
    return b"data: " + dump(fields).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
"""The last event of a stream."""


def error_event(error: ParleyError) -> bytes:
    """The event that breaks a stream off; OpenAI's clients raise it."""
    return event({"error": _told(error)[1]})


def _told(error: ParleyError) -> tuple[int, dict[str, object]]:
    match error:
        case PeerError():
            kind = "rate_limit_error" if error.status == 429 else "invalid_request_error"
            kind = "server_error" if error.status >= 500 else kind
            return error.status, _fields(error.message, kind, error.code, error.param)
        case StageRefused():
            status = _FAULT_STATUS.get(error.fault, 400)
            return status, _fields(error.told, "invalid_request_error", error.fault)
        case StageError():
            # What the stage said stays in the log.
            log.warning("a request failed: %s", error)
            text = f"the {error.stage} stage did not answer as it should"
            if isinstance(error, StageOverloaded):
                text = f"the {error.stage} stage has no room at the moment"
            return _STAGE_STATUS.get(error.code, 503), _fields(text, "server_error", error.code)
        case _:
            raise error


def _fields(message: str, kind: str, code: str, param: str | None = None) -> dict[str, object]:
    return {"message": message, "type": kind, "param": param, "code": code}
