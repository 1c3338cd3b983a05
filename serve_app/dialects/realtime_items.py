"""The items of a Realtime conversation: their order, and what of them the call's history knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from deployments.contracts import Message
from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json, invalid
from serve_app.errors import PeerError

Role: TypeAlias = Literal["system", "user", "assistant"]

MOST_ITEMS: Final = 500
"""Items that are kept. Overflow policy: the oldest is forgotten."""
MAX_ID_CHARS: Final = 100
MAX_TEXT_CHARS: Final = 32_000
MAX_PARTS: Final = 32
CHARS_A_TOKEN: Final = 4
"""What a token of text is counted as: the models' own counts are not known here."""
USER_MS_A_TOKEN: Final = 100
AGENT_MS_A_TOKEN: Final = 50

_PARTS: Final = {
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
    status: Literal["completed", "in_progress", "incomplete"] = "completed"
    audio_ms: float = 0.0
    reply_id: str | None = None

    def told(self, *, empty: bool = False) -> Json:
        """The item as clients are told it; `empty` before it has content."""
        content: list[Json] = [] if empty else [{"type": self.kind, _PARTS[self.kind]: self.text}]
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
        return -(-len(self.text or "") // CHARS_A_TOKEN)

    @property
    def audio_tokens(self) -> int:
        """Tokens of its sound."""
        per_token_ms = USER_MS_A_TOKEN if self.role == "user" else AGENT_MS_A_TOKEN
        return -int(-self.audio_ms // per_token_ms)


@dataclass(slots=True)
class Items:
    """A conversation's items in order."""

    _items: list[Item] = field(default_factory=list[Item])

    def find(self, item_id: str) -> Item | None:
        """The item of that id, if it is there."""
        return next((item for item in self._items if item.item_id == item_id), None)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item after another, at the front ("root") or last; the id of the one before it."""
        at = 0 if after == "root" else self._place(after)
        self._items.insert(at, item)
        before = self._items[at - 1].item_id if at else None
        if len(self._items) > MOST_ITEMS:
            self._items.pop(0)
        return before

    def remove(self, item: Item) -> None:
        """Take an item out."""
        self._items.remove(item)

    def before(self, item: Item) -> str | None:
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

    def usage(self, output: Item | None) -> Json:
        """What a reply took: everything before it, and what was made."""
        taken = [item for item in self._items if item is not output]
        made = [output] if output else []
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


def _tokens(items: list[Item]) -> tuple[int, int]:
    return sum(i.text_tokens for i in items), sum(i.audio_tokens for i in items)


def read_item(fields: Json, item_id: str, path: str) -> Item:
    """The message that a client puts into the conversation. Raises PeerError."""
    if fields.get("type", "message") != "message":
        raise invalid(f"{path}.type must be message", param=f"{path}.type")
    roles: tuple[Role, ...] = ("system", "user", "assistant")
    role: Role = read.one_of(fields, "role", f"{path}.role", roles, roles[1])
    parts = read.records(fields, "content", f"{path}.content", MAX_PARTS)
    words = [_words(part, f"{path}.content[{at}]") for at, part in enumerate(parts)]
    text = " ".join(filter(None, words))
    if not text.strip():
        raise invalid(f"{path}.content has no text", param=f"{path}.content")
    if len(text) > MAX_TEXT_CHARS:
        raise invalid(f"{path}.content may have {MAX_TEXT_CHARS} characters", param=path)
    kind = "output_text" if role == "assistant" else "input_text"
    return Item(item_id, f"item:{item_id}", role, kind, text)


def read_item_id(fields: Json, path: str) -> str | None:
    """The id that a client gives its item; None: it leaves that to the server."""
    return read.optional_string(fields, "id", path, MAX_ID_CHARS) or None


def no_such_item(code: str, item_id: str) -> PeerError:
    """The error for an id that no item has."""
    del item_id
    return PeerError(code, "there is no item of this id", param="item_id")


def _words(part: Json, path: str) -> str | None:
    kind = part.get("type")
    where = _PARTS.get(kind) if isinstance(kind, str) else None
    if where is None:
        raise invalid(f"{path}.type must be input_text, output_text or audio with a transcript")
    if where == "transcript" and part.get(where) is None:
        raise invalid(f"{path} has no transcript: speech is heard in input_audio_buffer alone")
    return read.string(part, where, f"{path}.{where}", MAX_TEXT_CHARS)
