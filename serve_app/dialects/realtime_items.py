"""The items of a Realtime conversation: what they are told as, their order, what they count for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from deployments.contracts import Message, ToolCall
from serve_app.conversation.announcements import call_message_id
from serve_app.dialects.json_text import Json

Role: TypeAlias = Literal["system", "user", "assistant"]
Status: TypeAlias = Literal["completed", "in_progress", "incomplete"]

MOST_ITEMS: Final = 500
"""Items that are kept. Overflow policy: the oldest is forgotten."""
MAX_ID_CHARS: Final = 100
CHARS_A_TOKEN: Final = 4
"""What a token of text is counted as: the models' own counts are not known here."""
USER_MS_A_TOKEN: Final = 100
AGENT_MS_A_TOKEN: Final = 50

WORDS_OF: Final = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "input_audio": "transcript",
    "output_audio": "transcript",
    "audio": "transcript",
}
"""The kinds of content, and where each has its words."""


@dataclass(slots=True)
class Item:
    """One message. `message_id`: what the history knows it by.

    `kind` is its content's: spoken content has a transcript, None while it is not there.
    """

    item_id: str
    message_id: str
    role: Role
    kind: str
    text: str | None
    status: Status = "completed"
    audio_ms: float = 0.0
    reply_id: str | None = None

    def told(self, *, empty: bool = False) -> Json:
        """The item as clients are told it; `empty` before it has content."""
        content: list[Json] = [] if empty else [{"type": self.kind, WORDS_OF[self.kind]: self.text}]
        return {
            "id": self.item_id,
            "object": "realtime.item",
            "type": "message",
            "status": self.status,
            "role": self.role,
            "content": content,
        }

    @property
    def message(self) -> Message:
        """The item as a language model sees it."""
        return Message(self.role, self.text or "")

    @property
    def text_tokens(self) -> int:
        """Tokens of its text."""
        return _text_tokens(self.text or "")

    @property
    def audio_tokens(self) -> int:
        """Tokens of its sound."""
        per_token_ms = USER_MS_A_TOKEN if self.role == "user" else AGENT_MS_A_TOKEN
        return -int(-self.audio_ms // per_token_ms)


@dataclass(slots=True)
class FunctionCall:
    """A tool of the client's was called."""

    item_id: str
    call: ToolCall
    status: Status = "completed"
    audio_tokens: int = 0

    def told(self, *, empty: bool = False) -> Json:
        """The item as clients are told it; `empty` before it has arguments."""
        return {
            "id": self.item_id,
            "object": "realtime.item",
            "type": "function_call",
            "status": self.status,
            "call_id": self.call.call_id,
            "name": self.call.name,
            "arguments": "" if empty else self.call.arguments_json,
        }

    @property
    def message_id(self) -> str:
        """What the history knows it by."""
        return call_message_id(self.call.call_id)

    @property
    def message(self) -> Message:
        """The item as a language model sees it."""
        return Message("assistant", "", (self.call,))

    @property
    def text_tokens(self) -> int:
        """Tokens of its text."""
        return _text_tokens(self.call.name + self.call.arguments_json)


@dataclass(slots=True)
class CallOutput:
    """What a tool of the client's gave."""

    item_id: str
    call_id: str
    output: str
    audio_tokens: int = 0

    def told(self) -> Json:
        """The item as clients are told it."""
        return {
            "id": self.item_id,
            "object": "realtime.item",
            "type": "function_call_output",
            "status": "completed",
            "call_id": self.call_id,
            "output": self.output,
        }

    @property
    def message_id(self) -> str:
        """What the history knows it by: as its call."""
        return call_message_id(self.call_id)

    @property
    def message(self) -> Message:
        """The item as a language model sees it."""
        return Message("tool", self.output, (), self.call_id)

    @property
    def text_tokens(self) -> int:
        """Tokens of its text."""
        return _text_tokens(self.output)


AnyItem: TypeAlias = Item | FunctionCall | CallOutput


@dataclass(slots=True)
class Items:
    """A conversation's items in order."""

    _items: list[AnyItem] = field(default_factory=list[AnyItem])

    def find(self, item_id: str) -> AnyItem | None:
        """The item of that id, if it is there."""
        return next((item for item in self._items if item.item_id == item_id), None)

    def calls(self, call_id: str) -> bool:
        """Whether there is a call of that id."""
        calls = (item for item in self._items if isinstance(item, FunctionCall))
        return any(item.call.call_id == call_id for item in calls)

    def add(self, item: AnyItem, after: str | None = None) -> str | None:
        """Put an item after another, at the front ("root") or last; the id of the one before it."""
        at = 0 if after == "root" else self._place(after)
        self._items.insert(at, item)
        before = self._items[at - 1].item_id if at else None
        if len(self._items) > MOST_ITEMS:
            self._items.pop(0)
        return before

    def remove(self, item: AnyItem) -> None:
        """Take an item out."""
        self._items.remove(item)

    def before(self, item: AnyItem) -> str | None:
        """The id of the item before one that is there."""
        at = self._items.index(item)
        return self._items[at - 1].item_id if at else None

    def history_place(self, after: str | None) -> str | None:
        """What the history is told for "after this item"."""
        match after:
            case None:
                return None
            case "root":
                return ""
            case _:
                found = self.find(after)
                return found.message_id if found else None

    def usage(self, made: Sequence[AnyItem]) -> Json:
        """What a reply took: everything before it, and what was made."""
        ours = {item.item_id for item in made}
        taken = [item for item in self._items if item.item_id not in ours]
        text_in, audio_in = _tokens(taken)
        text_out, audio_out = _tokens(made)
        return {
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "cached_tokens": 0,
                "text_tokens": text_in,
                "audio_tokens": audio_in,
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }

    def _place(self, after: str | None) -> int:
        ids = [item.item_id for item in self._items]
        return ids.index(after) + 1 if after in ids else len(ids)


def _text_tokens(text: str) -> int:
    return -(-len(text) // CHARS_A_TOKEN)


def _tokens(items: Sequence[AnyItem]) -> tuple[int, int]:
    return sum(i.text_tokens for i in items), sum(i.audio_tokens for i in items)
