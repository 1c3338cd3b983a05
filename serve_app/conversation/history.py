"""The conversation's messages, bounded, with only what was heard of each reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deployments.contracts import Message


@dataclass(frozen=True, slots=True)
class Entry:
    """A message with the id that a client knows it by; "" where it has none."""

    message_id: str
    message: Message


class History:
    """What the language model is shown.

    A client may change what is in it, by the ids of its messages. Overflow policy: beyond
    `max_chars` of text the oldest messages are forgotten; the instructions and the newest
    message never are, except what a tool gave: it goes with the call.
    """

    def __init__(self, instructions: str, max_chars: int) -> None:
        self.instructions = instructions
        self._max_chars = max_chars
        self._entries: list[Entry] = []
        self._chars = 0
        self.turns = 0
        """Of the caller, those that were forgotten included."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The messages that it holds."""
        return tuple(self._entries)

    def add_caller(self, text: str, message_id: str = "") -> None:
        """The caller said or typed `text`."""
        self.turns += 1
        self.insert(Message("user", text), message_id)

    def add_agent(self, heard: str, message_id: str = "") -> None:
        """The caller heard `heard` of a reply; a reply nobody heard leaves no trace."""
        if heard:
            self.insert(Message("assistant", heard), message_id)

    def insert(self, message: Message, message_id: str, after: str | None = None) -> None:
        """Put a message after another, at the front (""), or, where that is unknown, last."""
        at = 0 if after == "" else self._place(after)
        self._entries.insert(len(self._entries) if at is None else at, Entry(message_id, message))
        self._chars += _size(message)
        while self._orphaned() or (self._chars > self._max_chars and len(self._entries) > 1):
            self._forget(0)

    def add_exchange(self, messages: Sequence[Message]) -> None:
        """Tools were called, and gave what they gave; a client cannot take that apart."""
        for message in messages:
            self.insert(message, "")

    def remove(self, message_id: str) -> None:
        """Forget a message, if it is still there."""
        place = self._place(message_id)
        if place is not None:
            self._forget(place - 1)

    def cut(self, message_id: str, heard: str) -> None:
        """Less of a reply was heard than was thought, if it is still there."""
        place = self._place(message_id)
        if place is None or not heard:
            self.remove(message_id)
            return
        entry = self._entries[place - 1]
        self._chars += len(heard) - len(entry.message.content)
        self._entries[place - 1] = replace(entry, message=replace(entry.message, content=heard))

    def messages(
        self, said: str | None = None, instructions: str | None = None
    ) -> tuple[Message, ...]:
        """The instructions, the messages, and `said` as a caller's turn not yet taken in."""
        system = self.instructions if instructions is None else instructions
        first = (Message("system", system),) if system else ()
        pending = (Message("user", said),) if said is not None else ()
        return (*first, *(entry.message for entry in self._entries), *pending)

    def _orphaned(self) -> bool:
        """The oldest message is what a tool gave to a call that was forgotten."""
        return bool(self._entries) and self._entries[0].message.role == "tool"

    def _forget(self, at: int) -> None:
        self._chars -= _size(self._entries.pop(at).message)

    def _place(self, message_id: str | None) -> int | None:
        """The place just after a message; None where there is none of that id."""
        ids = (entry.message_id for entry in self._entries)
        found = (place for place, known in enumerate(ids, start=1) if known == message_id)
        return next(found, None) if message_id else None


def _size(message: Message) -> int:
    return len(message.content) + sum(len(call.arguments_json) for call in message.tool_calls)
