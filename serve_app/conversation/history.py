"""The conversation's messages, bounded, with only what was heard of each reply."""

from __future__ import annotations

from collections import deque

from deployments.contracts import Message


class History:
    """What the language model is shown.

    Overflow policy: beyond `max_chars` of text the oldest messages are forgotten; the
    instructions and the newest message never are.
    """

    def __init__(self, instructions: str, max_chars: int) -> None:
        self.instructions = instructions
        self._max_chars = max_chars
        self._messages: deque[Message] = deque()
        self._chars = 0

    def add_caller(self, text: str) -> None:
        """The caller said or typed `text`."""
        self._add(Message("user", text))

    def add_agent(self, heard: str) -> None:
        """The caller heard `heard` of a reply; a reply nobody heard leaves no trace."""
        if heard:
            self._add(Message("assistant", heard))

    def messages(self, said: str | None = None) -> tuple[Message, ...]:
        """The instructions, the messages, and `said` as a caller's turn not yet taken in."""
        system = (Message("system", self.instructions),) if self.instructions else ()
        pending = (Message("user", said),) if said is not None else ()
        return (*system, *self._messages, *pending)

    def _add(self, message: Message) -> None:
        self._messages.append(message)
        self._chars += len(message.content)
        while self._chars > self._max_chars and len(self._messages) > 1:
            self._chars -= len(self._messages.popleft().content)
