"""One call of the native protocol: connect, send, iterate over events. Knows no sound card.

CallError
├── CallRefused    there is no call: nothing answers, no room, a wrong query
└── CallLost       there was one, and it broke off
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.http11 import Response

from clients import wire
from clients.events import Audio, Event, Payload, ReplyResumed, ReplyStarted
from clients.opus import DECODED_RATE, BadPacket, OpusDecoder, OpusEncoder

Codec: TypeAlias = Literal["opus", "pcm16"]

QUEUED_MESSAGES: Final = 1024
"""Server messages that may wait to be read.

Overflow policy: wait. Nothing is dropped; the socket is no longer read, so the server sees a
slow reader and does with it as it does with any.
"""

PING_INTERVAL_S: Final = 2.0
"""Time between two measurements of the network's round trip."""

_CLOSE_TIMEOUT_S: Final = 1.0
_NORMAL_CLOSE: Final = 1000


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


class VoiceClient:
    """An open call. Iterate over it for the server's events; it ends when the server hangs up."""

    def __init__(
        self, socket: ClientConnection, encoder: OpusEncoder | None, clock: Callable[[], float]
    ) -> None:
        """Use `VoiceClient.connect`."""
        self._clock = clock
        self._socket = socket
        self._encoder = encoder
        self._decoder = OpusDecoder()
        self._reply_id = ""
        self.round_trips_ms: deque[float] = deque(maxlen=1000)
        """The network's round trips so far, measured by ping."""

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        codec: Codec = "opus",
        rate: int = 16_000,
        reply: Codec = "pcm16",
        voice: str | None = None,
        language: str | None = None,
        api_key: str | None = None,
        connect_timeout_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> AsyncGenerator[VoiceClient]:
        """A call at `url`, hung up on exit. `rate` is that of `send_audio`'s samples, in Hz.

        `clock`, in seconds, says when audio was received.

        Raises CallRefused; ValueError for a rate that the codec cannot carry.
        """
        encoder = OpusEncoder(rate) if codec == "opus" else None
        query = {"codec": codec, "reply": reply, "voice": voice, "language": language}
        if codec == "pcm16":
            query["rate"] = str(rate)
        full_url = f"{url}?{urlencode({key: value for key, value in query.items() if value})}"
        async with await _open(full_url, connect_timeout_s, api_key) as socket:
            client = cls(socket, encoder, clock)
            # Not a TaskGroup: it would wrap what the call raises in an ExceptionGroup.
            pinging = asyncio.create_task(client._ping())
            try:
                yield client
            finally:
                pinging.cancel()
                await asyncio.wait([pinging])

    def __aiter__(self) -> AsyncIterator[Event]:
        """The server's events, until it hangs up. Raises CallLost, wire.BadMessage."""
        return self._events()

    async def send_audio(self, pcm: bytes) -> None:
        """The next samples: int16 mono. With Opus, what does not fill a packet waits.

        Raises CallLost.
        """
        if self._encoder is None:
            await self._send(pcm)
            return
        for packet in self._encoder.encode(pcm):
            await self._send(packet)

    async def send_packet(self, packet: bytes) -> None:
        """One Opus packet that the caller encoded. Raises CallLost."""
        await self._send(packet)

    async def send_text(self, text: str) -> None:
        """A typed turn. Raises CallLost."""
        await self._send(wire.text_message(text))

    async def interrupt(self) -> None:
        """Stop the reply. Raises CallLost."""
        await self._send(wire.command_message("interrupt"))

    async def commit(self) -> None:
        """End the caller's turn now. Raises CallLost."""
        await self._send(wire.command_message("commit"))

    async def played(self, reply_id: str, played_ms: float) -> None:
        """Report how much of a reply has been played. Raises CallLost."""
        await self._send(wire.played_message(reply_id, played_ms))

    async def declare_tools(self, *tools: wire.Tool) -> None:
        """Offer the model these tools from its next reply on, instead of others. Raises CallLost.

        Each `ToolCall` that comes of it is to be answered.
        """
        await self._send(wire.tools_message(tools))

    async def answer_tool(self, call_id: str, result: str) -> None:
        """Tell the model what a tool gave, or what went wrong. Raises CallLost."""
        await self._send(wire.tool_result_message(call_id, result))

    async def end(self) -> None:
        """Hang up: the server closes the call. Raises CallLost."""
        await self._send(wire.command_message("end"))

    async def _send(self, message: str | bytes) -> None:
        try:
            await self._socket.send(message)
        except ConnectionClosed as error:
            raise _lost(error) from error

    async def _events(self) -> AsyncIterator[Event]:
        while True:
            try:
                message = await self._socket.recv()
            except ConnectionClosed as error:
                if error.rcvd is not None and error.rcvd.code == _NORMAL_CLOSE:
                    return
                raise _lost(error) from error
            event = wire.parse(message)
            if isinstance(event, ReplyStarted | ReplyResumed):
                self._reply_id = event.reply_id
            yield self._audio(event) if isinstance(event, Payload) else event

    def _audio(self, payload: Payload) -> Audio:
        at = self._clock()
        if payload.codec == "pcm16":
            return Audio(payload.data, payload.rate, self._reply_id, at)
        try:
            pcm = self._decoder.decode(payload.data)
        except BadPacket as error:
            raise wire.BadMessage(str(error)) from error
        return Audio(pcm, DECODED_RATE, self._reply_id, at)

    async def _ping(self) -> None:
        try:
            while True:
                round_trip_s = await (await self._socket.ping())
                self.round_trips_ms.append(round_trip_s * 1000)
                await asyncio.sleep(PING_INTERVAL_S)
        except ConnectionClosed:
            return  # whoever reads or sends is told


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
            max_queue=QUEUED_MESSAGES,
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
