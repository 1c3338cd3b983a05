"""Starlette's WebSocket, as a call uses it and as a call is refused on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from serve_app.dialects.routes import Handshake, Route
from serve_app.errors import PeerError
from serve_app.outbox import ClientGone

POLICY_VIOLATION = 1008

HUNG_UP = (OSError, WebSocketDisconnect)
"""What a message to a client that left raises: the server's error, or what Starlette makes of it
once the call was taken."""


class StarletteSocket:
    """Starlette's WebSocket with the few operations a call needs."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def send_text(self, data: str) -> None:
        """A text message. Raises OSError where the client left, RuntimeError once it is closed."""
        await self._send(self._websocket.send_text(data))

    async def send_bytes(self, data: bytes) -> None:
        """A binary message. Raises as `send_text` does."""
        await self._send(self._websocket.send_bytes(data))

    @staticmethod
    async def _send(sending: Awaitable[None]) -> None:
        try:
            await sending
        except HUNG_UP as gone:
            raise ConnectionResetError("the client hung up while it was sent to") from gone

    async def messages(self) -> AsyncIterator[str | bytes]:
        """What the client sends, until it leaves."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text: str | None = message.get("text")
            yield text if text is not None else message.get("bytes") or b""

    async def close(self, code: int) -> None:
        """Close the connection, if the client has not."""
        if self._websocket.client_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect):
                await self._websocket.close(code)


async def accept(websocket: WebSocket, route: Route, handshake: Handshake) -> None:
    """Take the call. A browser that offers a subprotocol hangs up where none is selected.

    Raises ClientGone where it left meanwhile.
    """
    offered = route.subprotocol in handshake.subprotocols
    try:
        await websocket.accept(route.subprotocol if offered else None)
    except HUNG_UP as gone:
        raise ClientGone("the client left before the call was taken") from gone


async def refuse(
    websocket: WebSocket,
    route: Route,
    handshake: Handshake,
    error: PeerError,
    retry_after_s: int,
) -> None:
    """Say no before the call begins, to who is still there: by HTTP status, or to a browser, which
    cannot read one, by accepting, saying why and closing."""
    with suppress(*HUNG_UP, ClientGone):
        if "origin" not in websocket.headers and _can_deny(websocket):
            await deny(websocket, error, retry_after_s)
            return
        await accept(websocket, route, handshake)
        for message in route.refusal(error):
            if isinstance(message, str):
                await websocket.send_text(message)
            else:
                await websocket.send_bytes(message)
        await websocket.close(error.close_code or POLICY_VIOLATION)


async def deny(websocket: WebSocket, error: PeerError, retry_after_s: int) -> None:
    """Say no by HTTP status, to who is still there; 403 where the server knows no other."""
    with suppress(*HUNG_UP):
        if not _can_deny(websocket):
            await websocket.close(POLICY_VIOLATION)
            return
        body = {"code": error.code, "message": error.message}
        wait_s = error.retry_after_s or retry_after_s
        headers = {"retry-after": str(wait_s)} if error.status in (429, 503) else None
        await websocket.send_denial_response(JSONResponse({"error": body}, error.status, headers))


def _can_deny(websocket: WebSocket) -> bool:
    return "websocket.http.response" in websocket.scope.get("extensions", {})
