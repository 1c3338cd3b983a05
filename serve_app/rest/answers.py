"""Answers in the shape that OpenAI's clients read, errors above all."""

from __future__ import annotations

import uuid

from starlette.responses import JSONResponse

from serve_app.errors import PeerError, StageError

_STAGE_STATUS = {"stage_timeout": 504, "stage_refused": 400}


def answer(content: object, status: int = 200, retry_after_s: int | None = None) -> JSONResponse:
    """JSON, with an id of its own in `x-request-id`."""
    headers = {"x-request-id": f"req_{uuid.uuid4().hex}"}
    if retry_after_s is not None:
        headers["retry-after"] = str(retry_after_s)
    return JSONResponse(content, status, headers)


def refusal(error: PeerError) -> JSONResponse:
    """The answer to a request that is at fault."""
    kind = "invalid_request_error"
    return _error(error.status, error.message, kind, error.code, error.retry_after_s or 1)


def failure(error: StageError) -> JSONResponse:
    """The answer where a stage did not deliver; what it said stays in the log."""
    status = _STAGE_STATUS.get(error.code, 503)
    text = f"the {error.stage} stage did not answer as it should"
    return _error(status, text, "server_error", error.code)


def _error(status: int, message: str, kind: str, code: str, retry_after_s: int = 1) -> JSONResponse:
    body = {"message": message, "type": kind, "param": None, "code": code}
    return answer({"error": body}, status, retry_after_s if status in (429, 503) else None)
