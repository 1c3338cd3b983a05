"""What a Realtime client is told of its own audio: the buffer, its items and their transcripts."""

from __future__ import annotations

from collections.abc import Callable

from serve_app.conversation import announcements as say
from serve_app.dialects.json_text import Json
from serve_app.dialects.realtime_items import Item, Items
from serve_app.dialects.realtime_response import Event
from serve_app.dialects.realtime_session import Session


class Hearing:
    """The turns of one session; `new_item_id` names their items."""

    def __init__(self, items: Items, event: Event, new_item_id: Callable[[], str]) -> None:
        self._items = items
        self._event = event
        self._new_item_id = new_item_id
        self._open_item_id: str | None = None
        self._awaited: dict[int, Item] = {}
        self._partial = ""

    def clear(self) -> None:
        """The client forgot what it said."""
        self._open_item_id = None

    def started(self, at_ms: int) -> list[str | bytes]:
        """The caller speaks."""
        self._open_item_id = self._new_item_id()
        return [self._buffer("speech_started", audio_start_ms=at_ms, item_id=self._open_item_id)]

    def stopped(self, at_ms: int) -> list[str | bytes]:
        """The turn is over, by the caller's voice or by the client's commit."""
        messages: list[str | bytes] = []
        item_id, self._open_item_id = self._open_item_id, None
        if item_id is None:
            item_id = self._new_item_id()
        else:
            messages.append(self._buffer("speech_stopped", audio_end_ms=at_ms, item_id=item_id))
        return [*messages, *self._committed(item_id, at_ms)]

    def timed_out(self, silence: say.SilenceTimedOut, session: Session) -> list[str | bytes]:
        """The caller said nothing for so long that this is a turn: one without words."""
        item_id, (start_ms, end_ms) = self._new_item_id(), (silence.start_ms, silence.end_ms)
        times = {"audio_start_ms": start_ms, "audio_end_ms": end_ms}
        return [
            self._buffer("timeout_triggered", item_id=item_id, **times),
            *self._committed(item_id, end_ms),
            *self.final(say.FinalTranscript("", start_ms, end_ms), session),
        ]

    def _committed(self, item_id: str, end_ms: int) -> list[str | bytes]:
        item = Item(item_id, say.turn_message_id(end_ms), "user", "input_audio", None)
        before = self._items.add(item)
        self._awaited[end_ms] = item
        told: Json = {"previous_item_id": before, "item": item.told()}
        return [
            self._buffer("committed", previous_item_id=before, item_id=item_id),
            self._event("conversation.item.added", **told),
            self._event("conversation.item.done", **told),
        ]

    def partial(self, text: str, session: Session) -> list[str | bytes]:
        """Words of the open turn: only a transcription session is told before the turn is over."""
        if session.kind != "transcription" or self._open_item_id is None:
            return []
        self._partial += text
        return [self._transcription("delta", self._open_item_id, delta=text)]

    def final(self, final: say.FinalTranscript, session: Session) -> list[str | bytes]:
        """A turn's transcript."""
        partial, self._partial = self._partial, ""
        item = self._awaited.pop(final.end_ms, None)
        if item is None:
            return []
        item.text = final.text
        item.audio_ms = final.end_ms - final.start_ms
        if session.transcription is None:
            return []
        usage = {"type": "duration", "seconds": round(item.audio_ms / 1000, 3)}
        done = self._transcription("completed", item.item_id, transcript=final.text, usage=usage)
        if partial or not final.text:
            return [done]
        return [self._transcription("delta", item.item_id, delta=final.text), done]

    def lost(self, end_ms: int, error: Json) -> list[str | bytes]:
        """A turn whose transcript will not come."""
        item = self._awaited.pop(end_ms, None)
        return [self._transcription("failed", item.item_id, error=error)] if item else []

    def _buffer(self, kind: str, **fields: object) -> str:
        return self._event(f"input_audio_buffer.{kind}", **fields)

    def _transcription(self, kind: str, item_id: str, **fields: object) -> str:
        name = f"conversation.item.input_audio_transcription.{kind}"
        return self._event(name, item_id=item_id, content_index=0, **fields)
