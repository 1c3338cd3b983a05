"""One response of the Realtime protocol: its events, from `response.created` to `response.done`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from serve_app.conversation.announcements import ReplyDone
from serve_app.dialects.json_text import Json
from serve_app.dialects.realtime_items import FunctionCall, Item, Items
from serve_app.dialects.realtime_session import Session, told_format

CONTENT_INDEX: Final = 0

Event: TypeAlias = Callable[..., str]
"""Makes the message of an event from its type and fields."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a `response.create` (of `event_id`) asked for. `remembered`: in the conversation."""

    modality: Literal["audio", "text"]
    voice: str | None
    metadata: Json | None = None
    remembered: bool = True
    event_id: str | None = None


class Response:
    """A reply on its way to the client: a message, which appears with its first text or sound, and
    the calls that the model makes after it."""

    def __init__(
        self, response_id: str, item: Item, asked: Asked, session: Session, conversation_id: str
    ) -> None:
        self.response_id = response_id
        self.item = item
        self._asked = asked
        self._session = session
        self._conversation_id = conversation_id if asked.remembered else None
        self._output: list[Item | FunctionCall] = []
        self._message_at: int | None = None
        self._text = ""

    @property
    def called(self) -> bool:
        """The model called tools: it says no more, though its words may still be spoken."""
        return any(isinstance(item, FunctionCall) for item in self._output)

    def begin(self, event: Event) -> list[str | bytes]:
        """The response is there, and empty."""
        return [event("response.created", response=self._told("in_progress", []))]

    def text(self, delta: str, items: Items, event: Event) -> list[str | bytes]:
        """More of its text, spoken or not."""
        opening = self._begin_message(items, event)
        self._text += delta
        self.item.text = self._text
        spoken = self._asked.modality == "audio"
        kind = "response.output_audio_transcript" if spoken else "response.output_text"
        return [*opening, event(f"{kind}.delta", **self._ids(), delta=delta)]

    def audio(
        self, payload: bytes, duration_ms: float, items: Items, event: Event
    ) -> list[str | bytes]:
        """More of its sound."""
        opening = self._begin_message(items, event)
        self.item.audio_ms += duration_ms
        delta = base64.b64encode(payload).decode()
        return [*opening, event("response.output_audio.delta", **self._ids(), delta=delta)]

    def call(self, item: FunctionCall, items: Items, event: Event) -> list[str | bytes]:
        """The model calls a tool of the client's."""
        opening = self._begin(item, items, event)
        at = len(self._output) - 1
        ids = {"response_id": self.response_id, "item_id": item.item_id, "output_index": at}
        call, arguments = item.call, item.call.arguments_json
        item.status = "completed"
        kind = "response.function_call_arguments"
        return [
            *opening,
            event(f"{kind}.delta", **ids, call_id=call.call_id, delta=arguments),
            event(f"{kind}.done", **ids, call_id=call.call_id, name=call.name, arguments=arguments),
            *self._end(item, at, items, event),
        ]

    def end(
        self, done: ReplyDone, details: Json | None, items: Items, event: Event
    ) -> list[str | bytes]:
        """It is over; `details` say why, where it was not completed."""
        completed = done.status == "completed"
        messages: list[str | bytes] = []
        if self._message_at is not None:
            self.item.status = "completed" if completed else "incomplete"
            messages = self._end_message(self._message_at, items, event)
        output = [item.told() for item in self._output]
        status = {"completed": "completed", "interrupted": "cancelled", "failed": "failed"}
        usage = items.usage(self._output)
        response = self._told(status[done.status], output, details, usage)
        # From here on the item says what was heard, as the history does.
        self.item.text = done.heard
        return [
            *messages,
            event("response.done", response=response),
            event("rate_limits.updated", rate_limits=[]),
        ]

    def _begin_message(self, items: Items, event: Event) -> list[str | bytes]:
        if self._message_at is not None:
            return []
        self._message_at = len(self._output)
        opening = self._begin(self.item, items, event)
        return [
            *opening,
            event("response.content_part.added", **self._ids(), part=self._part("")),
        ]

    def _end_message(self, at: int, items: Items, event: Event) -> list[str | bytes]:
        ids = self._ids()
        messages: list[str | bytes] = []
        if self._asked.modality == "audio":
            transcript = {"transcript": self._text}
            messages.append(event("response.output_audio.done", **ids))
            messages.append(event("response.output_audio_transcript.done", **ids, **transcript))
        else:
            messages.append(event("response.output_text.done", **ids, text=self._text))
        messages.append(event("response.content_part.done", **ids, part=self._part(self._text)))
        return [*messages, *self._end(self.item, at, items, event)]

    def _begin(self, item: Item | FunctionCall, items: Items, event: Event) -> list[str | bytes]:
        item.status = "in_progress"
        told = item.told(empty=True)
        output = {"response_id": self.response_id, "output_index": len(self._output)}
        self._output.append(item)
        messages: list[str | bytes] = [event("response.output_item.added", **output, item=told)]
        if self._asked.remembered:
            before = items.add(item)
            messages.append(event("conversation.item.added", previous_item_id=before, item=told))
        return messages

    def _end(
        self, item: Item | FunctionCall, at: int, items: Items, event: Event
    ) -> list[str | bytes]:
        messages: list[str | bytes] = []
        told = item.told()
        if self._asked.remembered and items.find(item.item_id):
            before = items.before(item)
            messages.append(event("conversation.item.done", previous_item_id=before, item=told))
        output = {"response_id": self.response_id, "output_index": at}
        return [*messages, event("response.output_item.done", **output, item=told)]

    def _ids(self) -> Json:
        return {
            "response_id": self.response_id,
            "item_id": self.item.item_id,
            "output_index": self._message_at,
            "content_index": CONTENT_INDEX,
        }

    def _part(self, text: str) -> Json:
        if self._asked.modality == "audio":
            return {"type": "audio", "transcript": text}
        return {"type": "text", "text": text}

    def _told(
        self,
        status: str,
        output: list[Json],
        details: Json | None = None,
        usage: Json | None = None,
    ) -> Json:
        voice = self._asked.voice or self._session.voice or "default"
        output_format = told_format(self._session.output_format)
        return {
            "id": self.response_id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": output,
            "output_modalities": [self._asked.modality],
            "conversation_id": self._conversation_id,
            "max_output_tokens": self._session.max_output_tokens,
            "metadata": self._asked.metadata,
            "audio": {"output": {"format": output_format, "voice": voice}},
            "usage": usage,
        }
