"""The replies that a client asked for and that have not begun."""

from __future__ import annotations

from collections import deque

from serve_app.conversation.announcements import CallError
from serve_app.conversation.commands import Command, Tell
from serve_app.conversation.events import ReplyRequested

MOST_REQUESTS = 64
"""Replies that a client may ask for ahead. Overflow policy: the newest is refused."""


class ReplyRequests:
    """First come, first served. Refusals go to `out`."""

    def __init__(self, out: list[Command]) -> None:
        self._out = out
        self._waiting: deque[ReplyRequested] = deque()

    def add(self, request: ReplyRequested) -> None:
        """The client asks for a reply."""
        if len(self._waiting) >= MOST_REQUESTS:
            why = f"{MOST_REQUESTS} replies wait already"
            self._out.append(Tell(CallError("too_many_requests", why, cause=request.request_id)))
            return
        self._waiting.append(request)

    @property
    def waiting(self) -> tuple[ReplyRequested, ...]:
        """Those that have not begun, in order."""
        return tuple(self._waiting)

    def take(self) -> ReplyRequested | None:
        """The next one to begin, if any."""
        return self._waiting.popleft() if self._waiting else None

    def withdraw(self) -> None:
        """The client no longer wants them."""
        self._waiting.clear()
