"""One call of the native protocol: connect, send, iterate over events. Knows no sound card.

A connection that is lost is made again, and the conversation gone on with, if the server kept it:
`Reconnecting` says that it began, `Resumed` that it is done. What is said meanwhile waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode

from clients import wire
from clients.connection import NORMAL_CLOSE, CallError, CallLost, CallRefused, Connection
from clients.events import Event, Moving, Reconnecting
from clients.incoming import Incoming
from clients.opus import OpusEncoder
from clients.returning import Backoff, Returning, may_change, may_return

__all__ = ["Backoff", "CallError", "CallLost", "CallRefused", "Codec", "VoiceClient"]

Codec: TypeAlias = Literal["opus", "pcm16"]

QUEUED_EVENTS: Final = 1024
"""Events that may wait to be iterated over.

Overflow policy: wait. Nothing is dropped; the socket is no longer read, so the server sees a
slow reader and does with it as it does with any.
"""

HELD_S: Final = 5.0
"""Audio that is sent while there is no connection is kept for so long, and sent after it."""

FIRST_WORD_S: Final = 10.0
"""A connection that is come back by says something within that, or is none."""

_COME_BACK: Final = Backoff()


class VoiceClient:
    """An open call. Iterate over it for the server's events; it ends when the server hangs up."""

    def __init__(
        self,
        connection: Connection,
        again: Callable[[str | None], str],
        encoder: OpusEncoder | None,
        backoff: Backoff | None,
        dial: Callable[[str], Awaitable[Connection]],
        clock: Callable[[], float],
    ) -> None:
        """Use `VoiceClient.connect`. `again`: a resume token → the URL to come back to."""
        self._connection = connection
        self._again = again
        self._encoder = encoder
        self._backoff = backoff
        self._returning = Returning(backoff or _COME_BACK)
        self._dial = dial
        self._clock = clock
        self._incoming = Incoming(clock)
        self._coming: asyncio.Queue[Event | None] = asyncio.Queue(QUEUED_EVENTS)
        self._connected = asyncio.Event()
        self._connected.set()
        self._held: deque[tuple[float, bytes]] = deque()
        self._over: Exception | None = None
        self.round_trips_ms: deque[float] = deque(maxlen=1000)
        """The network's round trips so far, measured by ping."""
        self.audio_began_at: float | None = None
        """When this connection's first audio was given to it, by the clock: the server's times
        (`at_ms`, `start_ms`, `end_ms`) count from the beginning of that."""

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
        resume: str | None = None,
        reconnect: Backoff | None = _COME_BACK,
        connect_timeout_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> AsyncGenerator[VoiceClient]:
        """A call at `url`, hung up on exit. `rate` is that of `send_audio`'s samples, in Hz.

        `resume`: the token of a conversation to go on with. `reconnect`: how a lost connection is
        made again; None: it is not, and CallLost is raised. `clock`, in seconds, says when audio
        was received.

        Raises CallRefused; ValueError for a rate that the codec cannot carry.
        """
        encoder = OpusEncoder(rate) if codec == "opus" else None
        query = {"codec": codec, "reply": reply, "voice": voice, "language": language}
        if codec == "pcm16":
            query["rate"] = str(rate)

        def address(token: str | None) -> str:
            asked = {**query, "resume": token}
            return f"{url}?{urlencode({key: value for key, value in asked.items() if value})}"

        dial = partial(Connection.open, timeout_s=connect_timeout_s, api_key=api_key)
        connection = await dial(address(resume))
        client = cls(connection, address, encoder, reconnect, dial, clock)
        # Not a TaskGroup: it would wrap what the call raises in an ExceptionGroup.
        running = asyncio.create_task(client._run())
        try:
            yield client
        finally:
            running.cancel()
            await asyncio.wait([running])
            await client._connection.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The server's events, until it hangs up. Raises CallError, wire.BadMessage."""
        while (event := await self._coming.get()) is not None:
            yield event
        self._coming.put_nowait(None)
        if self._over and getattr(self._over, "close_code", None) != NORMAL_CLOSE:
            raise self._over

    @property
    def resume_token(self) -> str | None:
        """With it another client could go on with the conversation; None: it is not kept."""
        ready = self._incoming.ready
        return ready.resume if ready else None

    async def send_audio(self, pcm: bytes) -> None:
        """The next samples: int16 mono. With Opus, what does not fill a packet waits.

        Raises CallError where the call is over.
        """
        if self._encoder is None:
            await self.send_packet(pcm)
            return
        for packet in self._encoder.encode(pcm):
            await self.send_packet(packet)

    async def send_packet(self, packet: bytes) -> None:
        """A message of audio, as the codec has it. Raises CallError where the call is over."""
        if self._over is not None:
            raise self._over
        if self._connected.is_set():
            if self.audio_began_at is None:
                self.audio_began_at = self._clock()
            try:
                await self._connection.send(packet)
                return
            except CallLost:
                if self._backoff is None:
                    raise
        now = self._clock()
        self._held.append((now, packet))
        while self._held[0][0] < now - HELD_S:
            self._held.popleft()

    async def send_text(self, text: str) -> None:
        """A typed turn. Raises CallError."""
        await self._send(wire.text_message(text))

    async def interrupt(self) -> None:
        """Stop the reply. Raises CallError."""
        await self._send(wire.command_message("interrupt"))

    async def commit(self) -> None:
        """End the caller's turn now. Raises CallError."""
        await self._send(wire.command_message("commit"))

    async def played(self, reply_id: str, played_ms: float) -> None:
        """Report how much of a reply has been played. Raises CallError."""
        if self._connected.is_set():  # A reply that was cut is over: nobody asks any more.
            await self._send(wire.played_message(reply_id, played_ms))

    async def record(self, consent: bool) -> None:
        """The caller agrees that the call is recorded from now on, or takes that back.

        `Recording` answers, and counts for this connection: after `Reconnecting` ask anew. A
        server whose `Ready` is not `recordable` answers with a `ServerError`. Raises CallError.
        """
        await self._send(wire.record_message(consent))

    async def declare_tools(self, *tools: wire.Tool) -> None:
        """Offer the model these tools from its next reply on, instead of others. Raises CallError.

        Each `ToolCall` that comes of it is to be answered.
        """
        await self._send(wire.tools_message(tools))

    async def answer_tool(self, call_id: str, result: str) -> None:
        """Tell the model what a tool gave, or what went wrong. Raises CallError."""
        await self._send(wire.tool_result_message(call_id, result))

    async def end(self) -> None:
        """Hang up: the server closes the call. Raises CallError."""
        await self._send(wire.command_message("end"))

    async def _send(self, message: str) -> None:
        """Where there is no connection, once there is one again."""
        while True:
            await self._connected.wait()
            if self._over is not None:
                raise self._over
            connection = self._connection
            try:
                await connection.send(message)
                return
            except CallLost as lost:
                if self._backoff is None or not may_return(lost.close_code):
                    raise
                if self._connection is connection and self._over is None:
                    self._connected.clear()

    async def _run(self) -> None:
        """Receive until the call is over, connection after connection."""
        try:
            while await self._broke_off():
                pass
            self._over = CallLost(NORMAL_CLOSE, "the server hung up")
        except Exception as error:  # noqa: BLE001 (raised again where the client iterates)
            self._over = error
        self._connected.set()
        await self._coming.put(None)

    async def _broke_off(self) -> bool:
        """Receive until the connection ends; True once there is another. Raises CallError."""
        measuring = asyncio.create_task(self._connection.measure(self.round_trips_ms.append))
        try:
            while (message := await self._connection.receive()) is not None:
                event = self._incoming.event(message)
                if isinstance(event, Moving) and self._backoff:
                    self._connected.clear()  # What is sent from now on is for the next connection.
                await self._coming.put(event)
            return False
        except CallLost as lost:
            self._connected.clear()
            if not (self._backoff and self.resume_token and may_return(lost.close_code)):
                raise
            await self._coming.put(Reconnecting(lost.close_code))
            await self._return(lost)
            return True
        finally:
            measuring.cancel()
            await asyncio.wait([measuring])

    async def _return(self, lost: CallLost) -> None:
        """Connect again, with growing waits. Raises CallError where that is of no more use."""
        ready = self._incoming.ready
        assert ready is not None, "it has brought the token"
        self._returning.lost(self._clock(), ready.resume_s or 0.0)
        retry_after_s = 0.0
        while True:
            now = self._clock()
            at = self._returning.next_at(now, random.random(), retry_after_s)
            if at is None:
                raise lost
            await asyncio.sleep(at - now)
            try:
                await self._begin_again(self._again(ready.resume))
                return
            except CallRefused as refused:
                if not may_change(refused.status):
                    raise
                retry_after_s = refused.retry_after_s or 0.0
            except (CallLost, TimeoutError):
                retry_after_s = 0.0

    async def _begin_again(self, url: str) -> None:
        """Another connection, once the server has said a word; then what was said meanwhile."""
        connection = await self._dial(url)
        try:
            async with asyncio.timeout(FIRST_WORD_S):
                first = await connection.receive()
            if first is None:
                raise CallLost(NORMAL_CLOSE, "")
        except (CallLost, TimeoutError):
            await connection.close()
            raise
        self._connection = connection
        self.audio_began_at = self._held[0][0] if self._held else None
        self._returning.back(self._clock())
        await self._coming.put(self._incoming.event(first))
        with suppress(CallLost):  # Whoever receives is told.
            while self._held:
                await connection.send(self._held.popleft()[1])
        self._connected.set()
