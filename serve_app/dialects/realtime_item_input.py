"""The items that a Realtime client puts into the conversation: read here."""

from __future__ import annotations

from typing import Final

from deployments.contracts import ToolCall
from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json, invalid
from serve_app.dialects.realtime_items import (
    MAX_ID_CHARS,
    WORDS_OF,
    AnyItem,
    CallOutput,
    FunctionCall,
    Item,
    Role,
)

MAX_TEXT_CHARS: Final = 32_000
MAX_PARTS: Final = 32
MAX_OUTPUT_CHARS: Final = 256 * 1024
"""Of what a tool gave; the model is shown less."""


def read_item(fields: Json, item_id: str, path: str) -> AnyItem:
    """A message, a call or what a call gave. Raises PeerError."""
    kinds = ("message", "function_call", "function_call_output")
    match read.one_of(fields, "type", f"{path}.type", kinds, "message"):
        case "function_call":
            return _call(fields, item_id, path)
        case "function_call_output":
            call_id = read.string(fields, "call_id", f"{path}.call_id", MAX_ID_CHARS)
            output = read.string(fields, "output", f"{path}.output", MAX_OUTPUT_CHARS)
            return CallOutput(item_id, call_id, output)
        case _:
            return _message(fields, item_id, path)


def read_item_id(fields: Json, path: str) -> str | None:
    """The id that a client gives its item; None: it leaves that to the server."""
    return read.optional_string(fields, "id", path, MAX_ID_CHARS) or None


def _call(fields: Json, item_id: str, path: str) -> FunctionCall:
    call_id = read.string(fields, "call_id", f"{path}.call_id", MAX_ID_CHARS)
    name = read.string(fields, "name", f"{path}.name", MAX_ID_CHARS)
    arguments = read.string(fields, "arguments", f"{path}.arguments", MAX_TEXT_CHARS)
    return FunctionCall(item_id, ToolCall(call_id, name, arguments))


def _message(fields: Json, item_id: str, path: str) -> Item:
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


def _words(part: Json, path: str) -> str | None:
    kind = part.get("type")
    where = WORDS_OF.get(kind) if isinstance(kind, str) else None
    if where is None:
        raise invalid(f"{path}.type must be input_text, output_text or audio with a transcript")
    if where == "transcript" and part.get(where) is None:
        raise invalid(f"{path} has no transcript: speech is heard in input_audio_buffer alone")
    return read.string(part, where, f"{path}.{where}", MAX_TEXT_CHARS)
