"""What is on its way to the client: one bounded queue, one writer, audio that can be recalled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from serve_app.conversation.announcements import Announcement, ReplyAudio
from serve_app.dialects import Answer, Dialect

LIMIT = 512
"""Announcements that may wait. Overflow policy: the client does not read, so the call is lost."""


class ClientGone(Exception):
    """The client left, or reads too slowly to go on."""


class Socket(Protocol):
    """The sending half of a WebSocket."""

    async def send_text(self, data: str) -> None: ...
    async def send_bytes(self, data: bytes) -> None: ...


class CallSocket(Socket, Protocol):
    """An accepted WebSocket."""

    def messages(self) -> AsyncIterator[str | bytes]:
        """What the client sends, until it leaves."""
        ...

    async def close(self, code: int) -> None:
        """Close the connection. Closing a closed one does nothing."""
        ...


class Outbox:
    """Queues announcements without waiting; `run` writes them in order."""

    def __init__(self, socket: Socket, dialect: Dialect, send_timeout_s: float) -> None:
        self._socket = socket
        self._dialect = dialect
        self._send_timeout_s = send_timeout_s
        self._waiting: deque[Announcement | Answer] = deque()
        self._changed = asyncio.Event()
        self._closing = False

    def put(self, announcement: Announcement | Answer) -> None:
        """Send this next. Raises ClientGone where the queue is full."""
        if len(self._waiting) >= LIMIT:
            raise ClientGone("the client does not read what it is sent")
        self._waiting.append(announcement)
        self._changed.set()

    def recall_audio(self, reply_id: str) -> None:
        """Audio of this reply that was not yet written never will be."""
        self._waiting = deque(
            item
            for item in self._waiting
            if not (isinstance(item, ReplyAudio) and item.reply_id == reply_id)
        )

    def close(self) -> None:
        """Let `run` return once everything is written."""
        self._closing = True
        self._changed.set()

    async def run(self) -> None:
        """Write until closed. Raises ClientGone."""
        while True:
            while self._waiting:
                await self._write(self._waiting.popleft())
            if self._closing:
                return
            self._changed.clear()
            await self._changed.wait()

    async def _write(self, item: Announcement | Answer) -> None:
        messages = [item.message] if isinstance(item, Answer) else self._dialect.encode(item)
        try:
            async with asyncio.timeout(self._send_timeout_s):
                for message in messages:
                    if isinstance(message, str):
                        await self._socket.send_text(message)
                    else:
                        await self._socket.send_bytes(message)
        except TimeoutError:
            raise ClientGone(f"nothing could be sent for {self._send_timeout_s} s") from None
        except (OSError, RuntimeError) as error:
            # Starlette raises RuntimeError for a socket that is closed already.
            raise ClientGone(str(error)) from error
