"""Recorded exchanges: what a client and the call say, and what a dialect makes of it.

Each line of a transcript is one step:

    {"open": {"path": …, "query": {…}, "headers": {…}}}   the handshake, first
    {"client": {…}}  or  {"client_hex": "…"}              the client sends a message
    {"say": "ReplyText", …}                               the call announces something
    {"event": "TextTyped", …}                             what the call is told of it
    {"server": {…}}  or  {"server_hex": "…"}              what the client receives
    {"error": "code", …}                                  the message was refused

After each `client` or `say` follows all that comes of it, in order. Fields at their defaults are
left out. In what is expected, "*" stands for any text.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from deployments.contracts import Message, Tool, ToolCall, Word
from serve_app.conversation import announcements as say
from serve_app.conversation.announcements import Announcement
from serve_app.conversation.tool_choice import ToolChoice
from serve_app.dialects import Answer, Dialect
from serve_app.dialects.registry import ROUTES
from serve_app.dialects.routes import Handshake
from serve_app.errors import PeerError

TRANSCRIPTS = Path(__file__).parent / "transcripts"
CALL_ID = "0123456789abcdef0123456789abcdef"

Step = dict[str, Any]


def handshake(path: str = "/", **parts: Any) -> Handshake:
    """A client's opening request; `query` and `headers` may be given."""
    query, headers = parts.get("query", {}), parts.get("headers", {})
    return Handshake(CALL_ID, path, query, headers, now=1_000_000, expires_at=1_003_600)


def steps(transcript: Path) -> list[Step]:
    """A transcript's steps."""
    return [json.loads(line) for line in transcript.read_text().splitlines() if line]


def opened(step: Step) -> Dialect:
    """The dialect of an `open` step."""
    parts = step["open"]
    [route] = [route for route in ROUTES if route.path == parts["path"]]
    return route.open(handshake(**parts))


def outcome(dialect: Dialect, step: Step) -> list[Step]:
    """What comes of a `client` or `say` step, as steps."""
    if "say" in step:
        return [_received(message) for message in dialect.encode(announcement(step))]
    message = bytes.fromhex(step["client_hex"]) if "client_hex" in step else step["client"]
    try:
        decoded = dialect.decode(json.dumps(message) if isinstance(message, dict) else message)
    except PeerError as error:
        return [_without_defaults("error", error.code, cause=error.cause, param=error.param)]
    return [
        _received(item.message) if isinstance(item, Answer) else _event(item) for item in decoded
    ]


def announcement(step: Step) -> Announcement:
    """The announcement of a `say` step."""
    fields = {key: value for key, value in step.items() if key != "say"}
    if "payload" in fields:
        fields["payload"] = bytes.fromhex(fields["payload"])
    fields["words"] = tuple(Word(*word) for word in fields.pop("words", ()))
    kind = getattr(say, step["say"])
    assert kind in get_args(Announcement)
    known = {field.name for field in dataclasses.fields(kind)}
    return kind(**{key: value for key, value in fields.items() if key in known})


def matches(expected: Any, happened: Any) -> bool:
    """Whether a step is as expected; "*" stands for any text."""
    match expected:
        case "*":
            return isinstance(happened, str)
        case dict():
            return (
                isinstance(happened, dict)
                and expected.keys() == happened.keys()
                and all(matches(expected[key], happened[key]) for key in expected)
            )
        case list():
            return (
                isinstance(happened, list)
                and len(expected) == len(happened)
                and all(map(matches, expected, happened))
            )
        case _:
            return expected == happened and type(expected) is type(happened)


def turns(transcript: Path) -> Iterator[tuple[Step, list[Step]]]:
    """Each `client` or `say` step with the steps that are expected to come of it."""
    _, *rest = steps(transcript)
    cause: Step = {}
    expected: list[Step] = []
    for step in rest:
        if "say" in step or "client" in step or "client_hex" in step:
            if cause:
                yield cause, expected
            cause, expected = step, []
        else:
            expected.append(step)
    yield cause, expected


def _received(message: str | bytes) -> Step:
    if isinstance(message, bytes):
        return {"server_hex": message.hex()}
    return {"server": json.loads(message)}


def _event(event: Any) -> Step:
    fields = {
        field.name: getattr(event, field.name)
        for field in dataclasses.fields(event)
        if field.default is dataclasses.MISSING or getattr(event, field.name) != field.default
    }
    return {"event": type(event).__name__, **{key: _plain(value) for key, value in fields.items()}}


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case tuple():
            return [_plain(item) for item in value]
        case Message(role=role, content=content) if not (value.tool_calls or value.tool_call_id):
            return [role, content]
        case Message() | Tool() | ToolCall() | ToolChoice():
            return {key: _plain(part) for key, part in dataclasses.asdict(value).items()}
        case _:
            return value


def _without_defaults(kind: str, name: str, **fields: Any) -> Step:
    return {kind: name, **{key: value for key, value in fields.items() if value is not None}}
