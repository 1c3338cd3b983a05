"""What a Realtime client asks of a response, of the audio buffer and of the history: read here."""

from __future__ import annotations

from typing import Final

from deployments.contracts import Message
from serve_app.conversation.events import AudioReceived, ClientEvent, ReplyRequested
from serve_app.dialects import AudioFormat
from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json, invalid
from serve_app.dialects.realtime_item_input import read_item
from serve_app.dialects.realtime_items import MAX_ID_CHARS, Items
from serve_app.dialects.realtime_response import Asked
from serve_app.dialects.realtime_session import (
    MAX_INSTRUCTIONS_CHARS,
    VOICES,
    Session,
    modality,
    voice_name,
)
from serve_app.dialects.realtime_tools import read_choice, read_tools

MAX_INPUT_ITEMS: Final = 128
MAX_METADATA: Final = 16


def audio_pieces(fields: Json, form: AudioFormat) -> list[ClientEvent]:
    """The audio of an append, a second at a time: a client may send any length at once."""
    payload = read.data(fields, "audio", "audio")
    step = (form.rate or 0) * (2 if form.codec == "pcm16" else 1)
    return [AudioReceived(payload[at : at + step]) for at in range(0, len(payload), step)]


def read_response(
    fields: Json, request_id: str, session: Session, items: Items
) -> tuple[ReplyRequested, Asked]:
    """A `response.create`: what the call is asked, and what the response is told with."""
    wanted = read.record(fields, "response", "response")
    audio = read.record(wanted, "audio", "response.audio")
    output = read.record(audio, "output", "response.audio.output")
    voice = voice_name(output, "response.audio.output.voice")
    kind = modality(wanted, "response.output_modalities") or session.modality
    remembered = wanted.get("conversation") != "none"
    instructions = read.optional_string(
        wanted, "instructions", "response.instructions", MAX_INSTRUCTIONS_CHARS
    )
    chooses = wanted.get("tool_choice") is not None
    messages = None
    if wanted.get("input") is not None:
        messages = _messages(wanted, instructions or session.instructions, items)
    request = ReplyRequested(
        request_id,
        messages=messages,
        instructions=instructions or None,
        voice=None if voice in VOICES else voice,
        speaks=kind == "audio",
        remembered=remembered,
        tools=read_tools(wanted, "response.tools") if wanted.get("tools") is not None else None,
        tool_choice=read_choice(wanted, "response.tool_choice") if chooses else None,
    )
    event_id = fields.get("event_id")
    cause = event_id if isinstance(event_id, str) else None
    return request, Asked(kind, voice, _metadata(wanted), remembered, cause)


def _messages(wanted: Json, instructions: str, items: Items) -> tuple[Message, ...]:
    path = "response.input"
    given = read.records(wanted, "input", path, MAX_INPUT_ITEMS)
    system = (Message("system", instructions),) if instructions else ()
    return (*system, *(_message(item, f"{path}[{at}]", items) for at, item in enumerate(given)))


def _message(fields: Json, path: str, items: Items) -> Message:
    if fields.get("type") != "item_reference":
        return read_item(fields, "", path).message
    item = items.find(read.string(fields, "id", f"{path}.id", MAX_ID_CHARS))
    if item is None:
        raise invalid(f"{path}.id is no item of this conversation", param=f"{path}.id")
    return item.message


def _metadata(wanted: Json) -> Json | None:
    metadata = read.record(wanted, "metadata", "response.metadata")
    if len(metadata) > MAX_METADATA:
        raise invalid(f"response.metadata may have {MAX_METADATA} entries")
    for key in metadata:
        read.string(metadata, key, "response.metadata", 512)
    return metadata or None
