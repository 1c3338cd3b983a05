"""What a Realtime client does to the items of its conversation, and what it is told of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from serve_app.conversation import events as ev
from serve_app.conversation.events import ClientEvent
from serve_app.conversation.history import UNANSWERED
from serve_app.dialects import Answer
from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json
from serve_app.dialects.realtime_item_input import read_item, read_item_id
from serve_app.dialects.realtime_items import (
    MAX_ID_CHARS,
    AnyItem,
    CallOutput,
    FunctionCall,
    Item,
    Items,
)
from serve_app.errors import PeerError

MAX_AUDIO_MS: Final = 10_000_000
"""More than any truncation is at."""


class ItemRequests:
    """`answer` makes an event for the client, `new_item_id` names what it has no name for.

    Every method raises PeerError.
    """

    def __init__(
        self, items: Items, answer: Callable[..., Answer], new_item_id: Callable[[], str]
    ) -> None:
        self._items = items
        self._answer = answer
        self._new_item_id = new_item_id

    def create(self, fields: Json) -> list[ClientEvent | Answer]:
        """An item, put after another one, first, or last."""
        wanted = read.record(fields, "item", "item")
        item_id = read_item_id(wanted, "item.id") or self._new_item_id()
        if self._items.find(item_id):
            raise PeerError("item_create_duplicate_item_id", "there is an item of this id")
        after = read.optional_string(fields, "previous_item_id", "previous_item_id", MAX_ID_CHARS)
        if after not in (None, "root") and not self._items.find(after or ""):
            raise _no_such_item("item_create_invalid_previous_item_id")
        item = read_item(wanted, item_id, "item")
        change = self._added(item, self._items.history_place(after))
        before = self._items.add(item, after)
        told: Json = {"previous_item_id": before, "item": item.told()}
        return [
            change,
            self._answer("conversation.item.added", **told),
            self._answer("conversation.item.done", **told),
        ]

    def delete(self, fields: Json) -> list[ClientEvent | Answer]:
        """An item that is to be forgotten."""
        item = self._item_of(fields, "item_delete_invalid_item_id")
        self._items.remove(item)
        gone = self._answer("conversation.item.deleted", item_id=item.item_id)
        if isinstance(item, CallOutput):
            return [ev.ToolAnswered(item.call_id, UNANSWERED), gone]
        return [ev.MessageRemoved(item.message_id), gone]

    def retrieve(self, fields: Json) -> list[ClientEvent | Answer]:
        """An item, as it is now."""
        item = self._item_of(fields, "item_retrieve_invalid_item_id")
        return [self._answer("conversation.item.retrieved", item=item.told())]

    def truncate(self, fields: Json) -> list[ClientEvent | Answer]:
        """How much of a reply was played: always answered, clamped to what was sent."""
        item_id = read.string(fields, "item_id", "item_id", MAX_ID_CHARS)
        asked_ms = read.number(fields, "audio_end_ms", "audio_end_ms", 0, MAX_AUDIO_MS)
        found = self._items.find(item_id)
        item = found if isinstance(found, Item) else None
        end_ms = min(asked_ms, item.audio_ms) if item else asked_ms
        answer = self._answer(
            "conversation.item.truncated",
            item_id=item_id,
            content_index=0,
            audio_end_ms=round(end_ms),
        )
        if item is None or item.reply_id is None:
            return [answer]
        item.audio_ms = end_ms
        return [ev.ReplyTruncated(item.reply_id, end_ms), answer]

    def _added(self, item: AnyItem, place: str | None) -> ClientEvent:
        match item:
            case Item():
                return ev.MessageAdded(item.message_id, item.role, item.text or "", place)
            case FunctionCall():
                return ev.ToolCallAdded(item.call, place)
            case CallOutput():
                if not self._items.calls(item.call_id):
                    why = "there is no call of this id in the conversation"
                    raise PeerError("invalid_tool_call_id", why, param="item.call_id")
                return ev.ToolAnswered(item.call_id, item.output)

    def _item_of(self, fields: Json, code: str) -> AnyItem:
        item_id = read.string(fields, "item_id", "item_id", MAX_ID_CHARS)
        item = self._items.find(item_id)
        if item is None:
            raise _no_such_item(code)
        return item


def _no_such_item(code: str) -> PeerError:
    return PeerError(code, "there is no item of this id", param="item_id")
