"""The door in front of every route: the ASGI layer that asks the gate, and says no in each
dialect's own way. Whatever route is added stands behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Final

from fastapi import Request, WebSocket
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app import metrics
from serve_app.access.gate import NOBODY, Gate, Visitor
from serve_app.access.key_file import KeyFile
from serve_app.access.limits import Limits, LocalLimits, Use
from serve_app.access.origins import Origins
from serve_app.access.redis_limits import RedisLimits
from serve_app.access.settings import AuthSettings
from serve_app.dialects.routes import Handshake, Keys, PostRoute, Route
from serve_app.errors import ConfigError, PeerError
from serve_app.rest.answers import error_answer
from serve_app.websocket import deny, refuse

RETRY_AFTER_S: Final = 1
"""Where a refusal does not say."""

LEAST_SIGNING_BYTES: Final = 16
"""Who guesses the signing key can make short-lived keys."""

_VISITOR: Final = "parley.visitor"


class Door:
    """One replica's door: the gate with its clock, its key file and its counts."""

    def __init__(
        self,
        auth: AuthSettings,
        keys: Keys,
        routes: Iterable[Route],
        posts: Iterable[PostRoute],
    ) -> None:
        """Raises ConfigError where the keys cannot be read."""
        self.routes = {route.path: route for route in routes}
        signed = {route.path for route in (*self.routes.values(), *posts) if route.signed}
        file = auth.keys_file
        if file is not None and len(keys.signing) < LEAST_SIGNING_BYTES:
            raise ConfigError("the signing key is too short: openssl rand -hex 32 makes one")
        self._file = None if file is None else KeyFile(file, time.monotonic())
        origins = Origins(auth.origins, keys.public_origin, any_own_name=file is not None)
        self._gate = Gate(keys, origins, signed)
        self._each_key = auth.each_key
        local = LocalLimits(time.monotonic)
        self._limits: Limits = RedisLimits(auth.redis_url, local) if auth.redis_url else local
        self.listed = origins.listed

    def admit(self, knock: Handshake, method: str | None) -> Visitor:
        """Who knocks; `method` is None for a WebSocket. Raises PeerError."""
        ring = None if self._file is None else self._file.ring(time.monotonic())
        return self._gate.admit(knock, ring, method)

    async def count_in(self, visitor: Visitor, method: str | None, stack: AsyncExitStack) -> None:
        """Until the stack is left. Raises PeerError where the key has used its limits."""
        if visitor.key is None:
            return
        kind = "call" if method is None else "request"
        use = Use.of(visitor.key.id, kind, visitor.key.limits(self._each_key))
        if not use.unlimited:
            await stack.enter_async_context(self._limits.held(use))


class Doorkeeper:
    """The ASGI layer. `door` says which door, as the layer is older than the replica's."""

    def __init__(self, app: ASGIApp, door: Callable[[], Door]) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request or a call through to its route, or say why not."""
        if scope["type"] == "websocket":
            await self._call(scope, receive, send)
        elif scope["type"] == "http":
            # Outside, so that a listed page can read a refusal too.
            with_cors = CORSMiddleware(
                self._request,
                allow_origins=self._door().listed,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["retry-after", "x-request-id"],
            )
            await with_cors(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        async with AsyncExitStack() as stack:
            try:
                await self._let_in(knock_of(request), request.method, scope, stack)
            except PeerError as error:
                metrics.refused(error.code)
                await error_answer(error)(scope, receive, send)
                return
            await self._app(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        knock = knock_of(websocket)
        async with AsyncExitStack() as stack:
            try:
                await self._let_in(knock, None, scope, stack)
            except PeerError as error:
                metrics.refused(error.code)
                route = self._door().routes.get(knock.path)
                if route is None:
                    await deny(websocket, error, RETRY_AFTER_S)
                else:
                    await refuse(websocket, route, knock, error, RETRY_AFTER_S)
                return
            await self._app(scope, receive, send)

    async def _let_in(
        self, knock: Handshake, method: str | None, scope: Scope, stack: AsyncExitStack
    ) -> None:
        door = self._door()
        visitor = door.admit(knock, method)
        await door.count_in(visitor, method, stack)
        scope[_VISITOR] = visitor


def visitor_of(scope: Scope) -> Visitor:
    """Who was let in with this request; nobody in particular where no key was asked for."""
    return scope.get(_VISITOR, NOBODY)


def knock_of(request: Request | WebSocket) -> Handshake:
    """A request's head as the gate reads it; its end is not known yet."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    now = int(time.time())
    return Handshake("", path, dict(request.query_params), dict(request.headers), now, now)
