"""Starlette's WebSocket, as a call uses it and as a call is refused on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from serve_app.dialects.routes import Handshake, Route
from serve_app.errors import PeerError

POLICY_VIOLATION = 1008


class StarletteSocket:
    """Starlette's WebSocket with the few operations a call needs."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self.send_text = websocket.send_text
        self.send_bytes = websocket.send_bytes

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
    """Take the call. A browser that offers a subprotocol hangs up where none is selected."""
    offered = route.subprotocol in handshake.subprotocols
    await websocket.accept(route.subprotocol if offered else None)


async def refuse(
    websocket: WebSocket,
    route: Route,
    handshake: Handshake,
    error: PeerError,
    retry_after_s: int,
) -> None:
    """Say no before the call begins: by HTTP status, or to a browser, which cannot read one, by
    accepting, saying why and closing."""
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
    """Say no by HTTP status; 403 where the server knows no other."""
    if not _can_deny(websocket):
        await websocket.close(POLICY_VIOLATION)
        return
    body = {"code": error.code, "message": error.message}
    wait_s = error.retry_after_s or retry_after_s
    headers = {"retry-after": str(wait_s)} if error.status in (429, 503) else None
    await websocket.send_denial_response(JSONResponse({"error": body}, error.status, headers))


def _can_deny(websocket: WebSocket) -> bool:
    return "websocket.http.response" in websocket.scope.get("extensions", {})
