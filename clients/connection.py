"""One WebSocket to the agent: opened, read, written to. Knows no call.

CallError
├── CallRefused    there is no call: nothing answers, no room, a wrong query
└── CallLost       there was one, and it broke off
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.http11 import Response

PING_INTERVAL_S: Final = 2.0
"""Time between two measurements of the network's round trip."""

KEEPALIVE_S: Final = 5.0
"""Time between two pings that must be answered, within 20 s: else the connection is lost."""

_CLOSE_TIMEOUT_S: Final = 1.0
NORMAL_CLOSE: Final = 1000


class CallError(Exception):
    """Base of what ends a call, or keeps it from being made. The text is one line."""


class CallRefused(CallError):
    """There is no call. `code` is the server's, or `unreachable`, `timeout`, `not_a_websocket`.

    `status` is the HTTP status where there was one; `retry_after_s` the server's advice.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class CallLost(CallError):
    """The call broke off. `close_code` is that of RFC 6455, 1006 without a closing handshake."""

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(f"the call broke off: {close_code} {reason}".rstrip())
        self.close_code = close_code


class Connection:
    """An open WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, url: str, timeout_s: float, api_key: str | None = None) -> Connection:
        """Connect. Raises CallRefused."""
        return cls(await _open(url, timeout_s, api_key))

    async def send(self, message: str | bytes) -> None:
        """Raises CallLost."""
        try:
            await self._socket.send(message)
        except ConnectionClosed as error:
            raise _lost(error) from error

    async def receive(self) -> str | bytes | None:
        """The next message; None: the server hung up in good order. Raises CallLost."""
        try:
            return await self._socket.recv()
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == NORMAL_CLOSE:
                return None
            raise _lost(error) from error

    async def measure(self, took_ms: Callable[[float], None]) -> None:
        """The network's round trip, by ping, until the connection is gone."""
        try:
            while True:
                took_ms(await (await self._socket.ping()) * 1000)
                await asyncio.sleep(PING_INTERVAL_S)
        except ConnectionClosed:
            return  # whoever reads or sends is told

    def abort(self) -> None:
        """Break it off without a word, as a network does."""
        self._socket.transport.abort()

    async def close(self) -> None:
        """Close it, if it is open."""
        await self._socket.close()


async def _open(full_url: str, timeout_s: float, api_key: str | None) -> ClientConnection:
    url = full_url.partition("?")[0]
    try:
        return await connect(
            full_url,
            additional_headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
            compression=None,  # audio does not shrink
            proxy=None,  # a real-time call is not sent through a web proxy
            open_timeout=timeout_s,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=KEEPALIVE_S,
        )
    except InvalidStatus as error:
        raise _denied(error.response) from error
    except InvalidURI as error:
        raise CallRefused("bad_url", f"not a WebSocket address: {url}") from error
    except InvalidHandshake as error:
        raise CallRefused("not_a_websocket", f"no WebSocket at {url}: {error}") from error
    except TimeoutError as error:
        raise CallRefused("timeout", f"no answer within {timeout_s:g} s from {url}") from error
    except OSError as error:
        raise CallRefused("unreachable", f"nothing answers at {url}") from error


def _denied(response: Response) -> CallRefused:
    try:
        body: object = json.loads(response.body or b"")
    except ValueError:
        body = None  # another server's page: the status alone says what there is to say
    match body:
        case {"error": {"code": str(code), "message": str(message)}}:
            pass
        case _:
            code, message = f"http_{response.status_code}", response.reason_phrase
    return CallRefused(
        code,
        message,
        status=response.status_code,
        retry_after_s=_seconds(response.headers.get("Retry-After")),
    )


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isascii() and value.isdigit() else None


def _lost(error: ConnectionClosed) -> CallLost:
    close = error.rcvd
    return CallLost(1006, "") if close is None else CallLost(close.code, close.reason)
