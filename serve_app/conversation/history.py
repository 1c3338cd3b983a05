"""The conversation's messages, bounded, with only what was heard of each reply."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

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

    def add_exchange(self, messages: Sequence[Message]) -> None:
        """Tools were called, and gave what they gave."""
        for message in messages:
            self._add(message)

    def messages(self, said: str | None = None) -> tuple[Message, ...]:
        """The instructions, the messages, and `said` as a caller's turn not yet taken in."""
        system = (Message("system", self.instructions),) if self.instructions else ()
        pending = (Message("user", said),) if said is not None else ()
        return (*system, *self._messages, *pending)

    def _add(self, message: Message) -> None:
        self._messages.append(message)
        self._chars += _size(message)
        while len(self._messages) > 1 and (self._chars > self._max_chars or self._orphaned()):
            self._chars -= _size(self._messages.popleft())

    def _orphaned(self) -> bool:
        """The oldest message is what a tool gave to a call that was forgotten."""
        return self._messages[0].role == "tool"


def _size(message: Message) -> int:
    return len(message.content) + sum(len(call.arguments_json) for call in message.tool_calls)
