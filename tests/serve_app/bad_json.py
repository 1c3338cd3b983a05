"""What is sent where a JSON object of a known type should be; and a call beside it all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.ingress import Line, ring_up


def said(**fields: Any) -> str:
    """A JSON message."""
    return json.dumps(fields)


def deep(depth: int) -> str:
    """A JSON object whose value is nested."""
    return '{"type":' + "[" * depth + "]" * depth + "}"


ANY_JSON: list[tuple[str, str | bytes]] = [
    ("no JSON", "hello"),
    ("an empty text", ""),
    ("half an object", '{"type": "conf'),
    ("a list", "[]"),
    ("a number", "1"),
    ("null", "null"),
    ("a string", '"type"'),
    ("NaN", '{"type": NaN}'),
    ("a huge exponent", '{"type": 1e999}'),
    ("a lone surrogate", '{"type": "\\ud800"}'),
    ("nesting without end", deep(100_000 // 4)),
    ("two objects", '{"type": "x"}{"type": "y"}'),
    ("a byte order mark", '\ufeff{"type": "x"}'),
    ("no type", "{}"),
    ("a type that is no text", said(type=["config"], event=7)),
    ("an unknown type", said(type="__class__", event="__class__")),
    ("a null byte in the type", said(type="config\0", event="media\0")),
]


@asynccontextmanager
async def witness(app: Any) -> AsyncIterator[Line]:
    """A call beside those of the test, which is answered before and after them."""
    async with ring_up(app, "/ws", {"codec": "pcm16"}) as line:
        await answered(line)
        yield line
        await answered(line)


async def answered(line: Line) -> None:
    """Say something, and wait for the reply's end."""
    line.say(said(type="text", text="Good morning."))
    async with asyncio.timeout(20):
        while (message := await line.next_json())["type"] != "reply_done":
            if message["type"] == "reply_started":
                line.say(said(type="interrupt"))
