"""The way of every HTTP request that the stages serve: let in, answered, its errors told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from serve_app.errors import PeerError, StageError
from serve_app.load import Shed
from serve_app.rest.answers import error_answer
from serve_app.rest.endpoints import Endpoint, Service
from serve_app.rest.registry import ENDPOINTS

_STAGES = frozenset(("stt", "llm", "tts"))


class Entrance:
    """The HTTP side of one ingress replica."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._at_work = 0
        self._endpoints = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}

    def answer(self, request: Request) -> Response:
        """What answers a request to an endpoint; the work is done as it is sent."""
        return _Answer(self, request)

    async def respond(self, request: Request, receive: Receive, send: Send) -> None:
        """Answer, until the last of it is sent or the client has gone."""
        endpoint = self._endpoints[request.method, request.scope["route"].path]
        try:
            with self._let_in(request, endpoint):
                await _send(await endpoint.answer(self._service, request), request, receive, send)
        except (PeerError, StageError) as error:
            await _send(error_answer(error), request, receive, send)

    @contextmanager
    def _let_in(self, request: Request, endpoint: Endpoint) -> Generator[None]:
        """The one gate. Raises PeerError; what it took is given back when the answer is out."""
        del request
        if not self._service.stages.info.keys() >= _STAGES:
            raise PeerError("not_ready", "the models are loading", status=503)
        if not endpoint.works:
            yield
            return
        if self._service.load.shed(asyncio.get_running_loop().time()) >= Shed.NEW_CALLS:
            text = "all lines are busy, try again soon"
            raise PeerError("at_capacity", text, status=503)
        if self._at_work >= self._service.settings.rest.at_once:
            text = "too many requests are under way, try again soon"
            raise PeerError("rate_limit_exceeded", text, status=429)
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1


class _Answer(Response):
    """A response whose work is done while it is sent, so that all of it lies in one scope."""

    def __init__(self, entrance: Entrance, request: Request) -> None:
        super().__init__()
        self._entrance = entrance
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await self._entrance.respond(self._request, receive, send)


async def _send(response: Response, request: Request, receive: Receive, send: Send) -> None:
    try:
        await response(request.scope, receive, send)
    finally:
        if isinstance(response, StreamingResponse):
            # A client that left has stopped the reading of it: so the work behind it ends.
            await cast("AsyncGenerator[bytes]", response.body_iterator).aclose()
