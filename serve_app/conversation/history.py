"""The conversation's messages, bounded, with only what was heard of each reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deployments.contracts import Message, ToolCall
from serve_app.conversation.announcements import call_message_id

UNANSWERED = "error: there is no result yet"
"""What a call gave, for as long as nobody has said it."""


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
        self._insert([Entry(message_id, message)], after)

    def add_exchange(self, messages: Sequence[Message], after: str | None = None) -> None:
        """Tools were called, and gave what they gave. Each result is known by its call."""
        entries = [
            Entry(call_message_id(message.tool_call_id) if message.tool_call_id else "", message)
            for message in messages
        ]
        self._insert(entries, after)

    def add_call(self, call: ToolCall, after: str | None = None) -> None:
        """A tool was called, and has given nothing yet."""
        given = Message("tool", UNANSWERED, (), call.call_id)
        self.add_exchange((Message("assistant", "", (call,)), given), after)

    def answer(self, call_id: str, result: str) -> None:
        """What a tool gave, instead of what was known of it, if its call is still there."""
        place = self._place(call_message_id(call_id))
        if place is not None:
            self._rewrite(place - 1, result)

    def remove(self, message_id: str) -> None:
        """Forget a message, if it is still there; a tool's result goes with its call."""
        place = self._place(message_id)
        if place is None:
            return
        call_id = self._entries[place - 1].message.tool_call_id
        self._forget(place - 1)
        if call_id is not None:
            self._forget_call(call_id)

    def cut(self, message_id: str, heard: str) -> None:
        """Less of a reply was heard than was thought, if it is still there."""
        place = self._place(message_id)
        if place is None or not heard:
            self.remove(message_id)
            return
        self._rewrite(place - 1, heard)

    def messages(
        self, said: str | None = None, instructions: str | None = None
    ) -> tuple[Message, ...]:
        """The instructions, the messages, and `said` as a caller's turn not yet taken in."""
        system = self.instructions if instructions is None else instructions
        first = (Message("system", system),) if system else ()
        pending = (Message("user", said),) if said is not None else ()
        return (*first, *(entry.message for entry in self._entries), *pending)

    def _insert(self, entries: list[Entry], after: str | None) -> None:
        at = 0 if after == "" else self._place(after)
        at = len(self._entries) if at is None else at
        self._entries[at:at] = entries
        self._chars += sum(_size(entry.message) for entry in entries)
        while self._orphaned() or (self._chars > self._max_chars and len(self._entries) > 1):
            self._forget(0)

    def _rewrite(self, at: int, content: str) -> None:
        entry = self._entries[at]
        self._chars += len(content) - len(entry.message.content)
        self._entries[at] = replace(entry, message=replace(entry.message, content=content))

    def _forget_call(self, call_id: str) -> None:
        for at, entry in enumerate(self._entries):
            calls = entry.message.tool_calls
            rest = tuple(call for call in calls if call.call_id != call_id)
            if len(rest) < len(calls):
                self._forget(at)
                if rest:
                    message = replace(entry.message, tool_calls=rest)
                    self._entries.insert(at, replace(entry, message=message))
                    self._chars += _size(message)
                return

    def _orphaned(self) -> bool:
        """The oldest message is what a tool gave to a call that was forgotten."""
        return bool(self._entries) and self._entries[0].message.role == "tool"

    def _forget(self, at: int) -> None:
        self._chars -= _size(self._entries.pop(at).message)

    def _place(self, message_id: str | None) -> int | None:
        """The place just after a message; None where there is none of that id."""
        # The last of that id: some models number the calls of each round alike.
        places = range(len(self._entries), 0, -1)
        found = (place for place in places if self._entries[place - 1].message_id == message_id)
        return next(found, None) if message_id else None


def _size(message: Message) -> int:
    return len(message.content) + sum(len(call.arguments_json) for call in message.tool_calls)
