"""docs/protocol-openai-audio.md: each request is sent, and its answer is of the form shown."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from serve_app.rest.own_data import ENDPOINTS as OWN_DATA
from serve_app.rest.registry import ENDPOINTS
from serve_app.rest.voices import ENDPOINTS as VOICES
from tests.recordings import tone_wav
from tests.serve_app.rest.http_client import SAID, connected
from tests.serve_app.rest.speech_stages import RestFakes

PAGE = (Path(__file__).parents[3] / "docs" / "protocol-openai-audio.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = [
    (text, following if following[0] != "sh" else None)
    for (kind, text), following in zip(BLOCKS, [*BLOCKS[1:], ("sh", "")], strict=True)
    if kind == "sh"
]
FIXED = ("type", "object", "code", "task", "role", "finish_reason", "text", "transcript", "reply")
"""What is the same in every answer of a kind; other values are of the same type."""


def request_of(command: str) -> httpx.Request:
    """The request that a curl command sends; its files are a second of sound."""
    _, *words = shlex.split(command.replace("\\\n", " "))
    url, headers, form, content = "", {}, {}, None
    files: dict[str, Any] = {}
    arguments = iter(words)
    for word in arguments:
        match word:
            case "-F":
                name, _, value = next(arguments).partition("=")
                if value.startswith("@"):
                    files[name] = (value[1:], tone_wav(1.0, 16_000))
                else:
                    form.setdefault(name, []).append(value)
            case "-H":
                name, _, value = next(arguments).partition(": ")
                headers[name] = value
            case "-d":
                content = next(arguments).encode()
            case "--data-binary":
                assert next(arguments).startswith("@")
                content = tone_wav(1.0, 16_000)
            case "-o":
                next(arguments)
            case "-N":
                pass
            case _:
                assert word.startswith("http"), word
                url = word
    method = "POST" if files or content else "GET"
    if files:
        return httpx.Request(method, url, headers=headers, data=form, files=files)
    return httpx.Request(method, url, headers=headers, content=content)


def alike(shown: Any, given: Any, name: str = "") -> bool:
    """Whether an answer is of the form that the page shows."""
    if isinstance(shown, dict):
        return (
            isinstance(given, dict)
            and shown.keys() == given.keys()
            and all(alike(shown[key], given[key], key) for key in shown)
        )
    if isinstance(shown, list):
        # Of what there is any number of, the page shows one.
        same = isinstance(given, list) and bool(shown) == bool(given)
        return same and all(map(alike, shown, given))
    if name in FIXED:
        return shown == given
    return type(shown) is type(given)


def events_of(text: str) -> list[Any]:
    """The events of a stream, those of a kind that follow each other once."""
    events = [line[6:] for line in text.split("\n\n") if line.strip()]
    told = [None if event.strip() == "[DONE]" else json.loads(event) for event in events]
    return [event for at, event in enumerate(told) if at == 0 or not alike(event, told[at - 1])]


@pytest.mark.parametrize(("command", "answer"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
async def test_each_example(command: str, answer: tuple[str, str] | None) -> None:
    """Is sent, and answered so."""
    stages = RestFakes(finals=[[SAID]], replies=[["Then take one."]])
    async with connected(stages) as client:
        response = await client.send(request_of(command))
    if answer is None:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("audio/")
        return
    kind, text = answer
    match kind:
        case "json":
            assert alike(json.loads(text), response.json()), response.text
        case "text":
            assert response.text == text
        case "events":
            assert alike(events_of(text), events_of(response.text)), response.text
            assert len(events_of(text)) == len(events_of(response.text))
        case _:
            assert kind == "headers"
            names = [line.partition(":")[0] for line in text.splitlines()]
            assert all(name in response.headers for name in names)


def test_every_endpoint_has_an_example() -> None:
    """But those of voices and of an owner's data, which have their own pages."""
    asked = {(r.method, r.url.path) for r in (request_of(text) for text, _ in EXAMPLES)}
    for endpoint in ENDPOINTS:
        if endpoint not in (*VOICES, *OWN_DATA):
            path = endpoint.path.replace("{model:path}", "small")
            assert (endpoint.method, path) in asked


def test_every_block_is_looked_at() -> None:
    """None escapes these tests, but what an application writes in Python."""
    assert {kind for kind, _ in BLOCKS} == {"python", "sh", "json", "text", "events", "headers"}


def test_addresses_are_of_one_server() -> None:
    """The one that `make run` starts."""
    urls = [urlsplit(str(request_of(text).url)) for text, _ in EXAMPLES]
    assert {url.netloc for url in urls} == {"127.0.0.1:8000"}
