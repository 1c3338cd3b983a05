"""OpenAI's Realtime protocol (GA) on `/v1/realtime`; docs/protocol-realtime.md has every message.

A client of this protocol drops a reply for good when it is told that the caller speaks, so it
is told late (`resumes=False`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from deployments.contracts import ToolCall
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import Announcement
from serve_app.conversation.events import ClientEvent
from serve_app.dialects import Answer, CallRequest, realtime_keys
from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json, dump, invalid, load, quoted
from serve_app.dialects.realtime_hearing import Hearing
from serve_app.dialects.realtime_input import audio_pieces, read_response
from serve_app.dialects.realtime_item_requests import ItemRequests
from serve_app.dialects.realtime_items import MAX_ID_CHARS, FunctionCall, Item, Items
from serve_app.dialects.realtime_response import Asked, Response
from serve_app.dialects.realtime_session import Session, difference
from serve_app.dialects.routes import Handshake, PostRoute, Route
from serve_app.errors import PeerError

PATH: Final = "/v1/realtime"
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Longest message, in bytes."""
MOST_CREATES: Final = 64
"""Responses that may be asked for ahead. Overflow policy: the newest is refused."""

_CODES: Final = {
    "invalid_request_error": "invalid_value",
    "nothing_to_commit": "input_audio_buffer_commit_empty",
}
"""What errors of the call are called here, where they have a name of their own."""


class RealtimeDialect:
    """One Realtime session."""

    def __init__(self, handshake: Handshake) -> None:
        """Raises PeerError where the session that a key brings is wrong."""
        patch = realtime_keys.session_of(handshake.key)
        if handshake.query.get("intent") == "transcription":
            patch = {**patch, "type": "transcription"}
        model = handshake.query.get("model") or "parley"
        session = Session(model=model[:100]).patched(patch)
        self._session = session
        self.request: CallRequest = CallRequest(
            session.input_format,
            session.output_format,
            resumes=False,
            opening=session.config(),
        )
        self._id = handshake.call_id
        self._expires_at = handshake.expires_at
        self._counts: dict[str, int] = {}
        self._items = Items()
        self._hearing = Hearing(self._items, self._event, self._new_item_id)
        self._requests = ItemRequests(self._items, self._answer, self._new_item_id)
        self._asked: dict[str, Asked] = {}
        self._response: Response | None = None
        self._cancelled = False
        self._failure: say.CallError | None = None

    # What the client says

    def decode(self, message: str | bytes) -> list[ClientEvent | Answer]:
        """What a message stands for. Raises PeerError, which names its `event_id`."""
        if isinstance(message, bytes):
            raise invalid("a message must be text")
        fields = load(message, MAX_MESSAGE_BYTES)
        event_id = fields.get("event_id")
        try:
            return self._decode(fields)
        except PeerError as error:
            error.cause = event_id if isinstance(event_id, str) else None
            raise

    def _decode(self, fields: Json) -> list[ClientEvent | Answer]:
        match fields.get("type"):
            case "input_audio_buffer.append":
                return [*audio_pieces(fields, self.request.uplink)]
            case "input_audio_buffer.commit":
                return [ev.CommitRequested()]
            case "input_audio_buffer.clear":
                self._hearing.clear()
                return [ev.HearingCleared(), self._answer("input_audio_buffer.cleared")]
            case "session.update":
                return self._update(read.record(fields, "session", "session"))
            case "conversation.item.create":
                return self._requests.create(fields)
            case "conversation.item.delete":
                return self._requests.delete(fields)
            case "conversation.item.retrieve":
                return self._requests.retrieve(fields)
            case "conversation.item.truncate":
                return self._requests.truncate(fields)
            case "response.create":
                return [self._create_response(fields)]
            case "response.cancel":
                return [self._cancel_response(fields)]
            case "output_audio_buffer.clear":
                return [self._cancel_response({})] if self._answering else []
            case str(kind):
                raise invalid(f"unknown type {quoted(kind)}", param="type")
            case _:
                raise invalid("type must be a string", param="type")

    def _update(self, patch: Json) -> list[ClientEvent | Answer]:
        agreed = read.flag(patch, "record", "session.record", False)
        before, self._session = self._session, self._session.patched(patch)
        session = self._session
        self.request = replace(
            self.request, uplink=session.input_format, downlink=session.output_format
        )
        change = difference(before.config(), session.config())
        told = self._answer("session.updated", session=self._told_session())
        if patch.get("record") is None:
            return [change, told]
        return [change, told, ev.RecordingAnswered(agreed)]

    def _create_response(self, fields: Json) -> ClientEvent:
        if self._session.kind == "transcription":
            raise invalid("a transcription session has no responses")
        request_id = self._new_id("request")
        request, asked = read_response(fields, request_id, self._session, self._items)
        # A response that called tools has said all: the next one waits until it was spoken.
        busy = self._asked or (self._response and not self._response.called)
        if asked.remembered and busy:
            raise PeerError(
                "conversation_already_has_active_response",
                "Conversation already has an active response in progress",
            )
        if len(self._asked) >= MOST_CREATES:
            raise PeerError("too_many_requests", f"{MOST_CREATES} responses wait already")
        self._asked[request_id] = asked
        return request

    def _cancel_response(self, fields: Json) -> ClientEvent:
        wanted = read.optional_string(fields, "response_id", "response_id", MAX_ID_CHARS)
        current = self._response.response_id if self._response else None
        if not self._answering or (wanted is not None and wanted != current):
            raise PeerError(
                "response_cancel_not_active", "Cancellation failed: no active response found"
            )
        self._cancelled = self._response is not None
        self._asked.clear()
        return ev.InterruptRequested()

    @property
    def _answering(self) -> bool:
        return self._response is not None or bool(self._asked)

    # What the client is told

    def encode(self, announcement: Announcement) -> list[str | bytes]:
        """The events of an announcement, in the protocol's order."""
        match announcement:
            case say.CallReady():
                conversation = {"id": self._conversation_id, "object": "realtime.conversation"}
                return [
                    self._event("session.created", session=self._told_session()),
                    self._event("conversation.created", conversation=conversation),
                ]
            case say.SpeechStarted(at_ms=at_ms):
                return self._hearing.started(at_ms)
            case say.SpeechStopped(at_ms=at_ms):
                return self._hearing.stopped(at_ms)
            case say.SilenceTimedOut() as silence:
                return self._hearing.timed_out(silence, self._session)
            case say.PartialTranscript(text=text):
                return self._hearing.partial(text, self._session)
            case say.FinalTranscript() as final:
                return self._hearing.final(final, self._session)
            case say.RecordingChanged(on=on, keep_days=days):
                return [self._event("parley.recording", on=on, keep_days=days)]
            case say.CallError() as error:
                return self._error(error)
            case _:
                return self._of_reply(announcement)

    def _of_reply(self, announcement: Announcement) -> list[str | bytes]:
        response, items, event = self._response, self._items, self._event
        match announcement:
            case say.ReplyStarted() as started:
                self._response = self._new_response(started)
                return self._response.begin(event)
            case say.ReplyText(delta=delta) if response:
                return response.text(delta, items, event) if delta else []
            case say.ReplyAudio(payload=payload) if response:
                form = self.request.downlink
                rate_bytes = (form.rate or 1) * (2 if form.codec == "pcm16" else 1)
                return response.audio(payload, len(payload) * 1000 / rate_bytes, items, event)
            case say.ToolCalled() as called if response:
                call = ToolCall(called.call_id, called.name, called.arguments_json)
                return response.call(FunctionCall(self._new_item_id(), call), items, event)
            case say.ReplyDone() as done if response:
                self._response = None
                return response.end(done, self._why(done), items, event)
            case _:
                return []

    def _error(self, error: say.CallError) -> list[str | bytes]:
        if error.turn_end_ms is not None:
            return self._hearing.lost(error.turn_end_ms, _error_of(error))
        refused = self._asked.pop(error.cause or "", None)
        if refused:
            error = replace(error, cause=refused.event_id)
        if error.code.startswith("stage_"):
            # It ends the response in progress, which says so: some clients die of an `error`.
            self._failure = error
            return []
        return [self._event("error", error=_error_of(error))]

    def _why(self, done: say.ReplyDone) -> Json | None:
        failure, self._failure = self._failure, None
        cancelled, self._cancelled = self._cancelled, False
        match done.status:
            case "completed":
                return None
            case "interrupted":
                reason = "client_cancelled" if cancelled else "turn_detected"
                return {"type": "cancelled", "reason": reason}
            case "failed":
                error = _error_of(failure) if failure else {}
                known = {key: error[key] for key in ("type", "code") if key in error}
                return {"type": "failed", "error": known}

    def _new_response(self, started: say.ReplyStarted) -> Response:
        usual = Asked(self._session.modality, None)
        asked = self._asked.pop(started.request_id or "", usual)
        kind = "output_audio" if asked.modality == "audio" else "output_text"
        item = Item(self._new_item_id(), started.reply_id, "assistant", kind, "")
        item.reply_id = started.reply_id
        response_id = self._new_id("resp")
        return Response(response_id, item, asked, self._session, self._conversation_id)

    @property
    def _conversation_id(self) -> str:
        return f"conv_{self._id}"

    def _told_session(self) -> Json:
        return self._session.told(f"sess_{self._id}", self._expires_at)

    def _answer(self, kind: str, **fields: object) -> Answer:
        return Answer(self._event(kind, **fields))

    def _event(self, kind: str, **fields: object) -> str:
        return dump({"type": kind, "event_id": self._new_id("event"), **fields})

    def _new_item_id(self) -> str:
        return self._new_id("item")

    def _new_id(self, kind: str) -> str:
        # A client may bring its items from another session: ids of two must not meet.
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}_{self._id[:12]}_{count}"


def refusal(error: PeerError) -> list[str | bytes]:
    """Why there is no session."""
    told = _error_of(say.CallError(error.code, error.message, param=error.param))
    return [dump({"type": "error", "event_id": "event_1", "error": told})]


def _error_of(error: say.CallError) -> Json:
    theirs = not error.code.startswith("stage_")
    return {
        "type": "invalid_request_error" if theirs else "server_error",
        "code": _CODES.get(error.code, error.code),
        "message": error.message,
        "param": error.param,
        "event_id": error.cause,
    }


ROUTE: Final = Route(PATH, RealtimeDialect, refusal, subprotocol="realtime")
"""Where the Realtime protocol is spoken."""

CLIENT_SECRETS: Final = PostRoute(f"{PATH}/client_secrets", realtime_keys.answer)
"""Where a browser's key comes from."""
