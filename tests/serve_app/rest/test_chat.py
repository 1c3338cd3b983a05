"""serve_app.rest.chat and models: the language model by itself."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from deployments.contracts import ToolCall
from tests.serve_app.rest.http_client import CHAT, connected, events, fault
from tests.serve_app.rest.speech_stages import RestFakes

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


async def test_models(client: httpx.AsyncClient) -> None:
    """Every name, each of which can be asked for."""
    listed = (await client.get("/v1/models")).json()
    names = [model["id"] for model in listed["data"]]
    assert names == ["small", "listener", "Org/Writer-1", "writer", "cloner"]
    for model in listed["data"]:
        assert (await client.get(f"/v1/models/{model['id']}")).json() == model
    assert fault(await client.get("/v1/models/no/such")) == (404, "model_not_found", "model")


async def test_chat(client: httpx.AsyncClient, stages: RestFakes) -> None:
    """The reply, who wrote it, and what it cost."""
    told = (await client.post("/v1/chat/completions", json={**CHAT, "temperature": 1})).json()
    assert told["object"] == "chat.completion"
    assert told["model"] == "Org/Writer-1"
    [choice] = told["choices"]
    assert choice["message"]["content"] == "Then take one."
    assert choice["finish_reason"] == "stop"
    usage = told["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 2
    [work] = stages.fake.of("llm")
    assert [(m.role, m.content) for m in work.request.messages] == [("user", "Hi")]


async def test_chat_in_pieces(client: httpx.AsyncClient) -> None:
    """The role, the text, the end, and the cost where it is asked for."""
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    *chunks, usage, end = events(await client.post("/v1/chat/completions", json=body))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert [delta.get("content") for delta in deltas[1:-1]] == ["Then ", "take one."]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] > 0
    assert end is None


async def test_tools_pass_through(stages: RestFakes) -> None:
    """To the model with their results, and back as calls, whole and in pieces."""
    stages.fake.replies = [[ToolCall("c2", "weather", '{"city": "Rome"}')]]
    asked = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "And in Rome?"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "Sunny"},
    ]
    body = {**CHAT, "messages": asked, "tools": [TOOL]}
    async with connected(stages) as client:
        whole = (await client.post("/v1/chat/completions", json=body)).json()
        pieces = events(await client.post("/v1/chat/completions", json={**body, "stream": True}))
    request = stages.fake.of("llm")[0].request
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "tool"]
    assert request.messages[2].tool_calls == (ToolCall("c1", "weather", "{}"),)
    assert request.tools[0].name == "weather"
    [choice] = whole["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    called = {"name": "weather", "arguments": '{"city": "Rome"}'}
    assert choice["message"]["tool_calls"] == [{"id": "c2", "type": "function", "function": called}]
    [delta] = pieces[1]["choices"][0]["delta"]["tool_calls"]
    assert (delta["index"], delta["function"]) == (0, called)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": "parrot"}, (404, "model_not_found", "model")),
        ({"messages": []}, (400, "invalid_value", "messages")),
        ({"n": 2}, (400, "invalid_value", "n")),
        ({"tool_choice": "required"}, (400, "invalid_value", "tool_choice")),
        ({"response_format": {"type": "json_object"}}, (400, "invalid_value", None)),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, (400, None, None)),
    ],
)
async def test_what_chat_refuses(
    client: httpx.AsyncClient, changes: dict[str, Any], expected: tuple[int, str | None, Any]
) -> None:
    """What would change what comes back, and what is not there."""
    response = await client.post("/v1/chat/completions", json={**CHAT, **changes})
    told = fault(response)
    assert all(want in (None, got) for want, got in zip(expected, told, strict=True))


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/json", "invalid_json"),
        (b'{"model": NaN}', "application/json", "invalid_json"),
        (b"[]", "application/json", "invalid_value"),
        (b"\xff", "application/json", "invalid_json"),
        (b"{}", "text/plain", "invalid_content_type"),
        (bytes(1024 * 1024 + 1), "application/json", "upload_too_large"),
    ],
)
async def test_bodies_that_are_no_json(
    client: httpx.AsyncClient, body: bytes, content_type: str, code: str
) -> None:
    """Each has its error."""
    response = await client.post(
        "/v1/chat/completions", content=body, headers={"content-type": content_type}
    )
    assert fault(response)[1] == code
