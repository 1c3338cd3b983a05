"""The OpenAI client against a real HTTP server that speaks the protocol, well and badly."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from deployments.backends.llm_openai import OpenAI
from deployments.contracts import (
    BackendError,
    BadInput,
    LoadFailed,
    Message,
    Overloaded,
    ReplyItem,
    ReplyRequest,
    TextDelta,
    Tool,
    ToolCall,
)
from tests.openai_server import Server, listening

ASKED = ReplyRequest((Message("system", "Be brief."), Message("user", "Hello?")))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server that answers well."""
    async with listening(Server()) as server:
        yield server


@asynccontextmanager
async def client(server: Server, **settings: object) -> AsyncIterator[OpenAI]:
    """A loaded backend whose own server this is."""
    backend = OpenAI(base_url=server.url, **settings)  # type: ignore[arg-type]
    await backend.load()
    try:
        yield backend
    finally:
        await backend.close()
        # The client library leaves its inner generators to the collector; the loop closes them.
        for _ in range(20):
            await asyncio.sleep(0)


async def text_of(reply: AsyncIterator[ReplyItem]) -> list[str]:
    """The pieces of a reply."""
    return [item.text async for item in reply if isinstance(item, TextDelta)]


async def test_reply_streams_what_the_server_writes(server: Server) -> None:
    """Every piece once, empty ones dropped; the request carries messages and settings."""
    async with client(server, model="m", temperature=0.1, max_tokens=5) as backend:
        assert await text_of(backend.reply(ASKED)) == ["Good ", "day", "."]
    sent = server.requests[0]
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
    ]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("m", 0.1, 5)
    assert sent["stream"] is True


async def test_closing_the_reply_closes_the_connection(server: Server) -> None:
    """The server sees the caller's interruption, and the next reply works."""
    server.endless = True
    async with client(server) as backend:
        async with aclosing(backend.reply(ASKED)) as reply:  # type: ignore[type-var]
            await anext(reply)
        await asyncio.wait_for(server.gone.wait(), 5)
        server.endless = False
        assert await text_of(backend.reply(ASKED)) == ["Good ", "day", "."]


async def test_cancelling_the_reader_closes_the_connection(server: Server) -> None:
    """A cancelled task leaves nothing running at the server."""
    server.endless = True
    async with client(server) as backend:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await text_of(backend.reply(ASKED))
        await asyncio.wait_for(server.gone.wait(), 5)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadInput),
        (404, BadInput),
        (422, BadInput),
        (429, Overloaded),
        (503, Overloaded),
        (401, BackendError),
        (500, BackendError),
    ],
)
async def test_errors_are_told_apart(
    server: Server, status: int, error: type[BackendError]
) -> None:
    """What the server answers becomes the stage's own errors, asked just once."""
    server.status = status
    async with client(server) as backend:
        with pytest.raises(error) as caught:
            await text_of(backend.reply(ASKED))
    assert type(caught.value) is error
    assert len(server.requests) == 1


async def test_a_server_that_breaks_off_is_an_error(server: Server) -> None:
    """A reply cut in the middle gives what came, and then fails."""
    server.breaks = True
    async with client(server) as backend:
        reply = backend.reply(ASKED)
        assert [(await anext(reply)).text for _ in range(3)] == ["Good ", "day", "."]
        with pytest.raises(BackendError):
            await anext(reply)


async def test_no_server_is_an_error(server: Server) -> None:
    """A refused connection is a failure of the stage, not of the request."""
    async with client(server) as backend:
        nowhere = ReplyRequest(ASKED.messages, server_url="http://127.0.0.1:1/v1")
        with pytest.raises(BackendError) as caught:
            await text_of(backend.reply(nowhere))
    assert type(caught.value) is BackendError


async def test_a_silent_server_times_out(server: Server) -> None:
    """A server that stops writing fails the reply after `timeout_s`."""
    server.endless = True
    async with client(server, timeout_s=0.3) as backend:
        with pytest.raises(BackendError):
            await text_of(backend.reply(ASKED))


async def test_another_server_gets_its_own_model_and_no_key(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call's own server is asked for its first model and never sees the operator's key."""
    monkeypatch.setenv("MY_KEY", "secret-key")
    async with (
        listening(Server(words=["Elsewhere."])) as other,
        client(server, api_key_env="MY_KEY") as backend,
    ):
        there = ReplyRequest(ASKED.messages, server_url=other.url)
        assert await text_of(backend.reply(there)) == ["Elsewhere."]
        assert await text_of(backend.reply(ASKED)) == ["Good ", "day", "."]
    assert other.requests[0]["model"] == "first-model"
    assert len(other.keys) == 2
    assert not any("secret-key" in key for key in other.keys)
    assert server.keys == ["Bearer secret-key"]


async def test_the_operators_other_variables_stay_here(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client library's own OPENAI_API_KEY does not reach a call's server either."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    async with listening(Server()) as other, client(server) as backend:
        await text_of(backend.reply(ReplyRequest(ASKED.messages, server_url=other.url)))
    assert not any("secret-key" in key for key in other.keys)


async def test_a_server_without_models_is_an_error(server: Server) -> None:
    """There is nothing to ask of it."""
    async with listening(Server(models=[])) as other, client(server) as backend:
        with pytest.raises(BackendError, match="lists no model"):
            await text_of(backend.reply(ReplyRequest(ASKED.messages, server_url=other.url)))


async def test_few_other_servers_are_kept(server: Server) -> None:
    """Callers who name ever new servers do not fill the memory."""
    async with client(server) as backend:
        for port in range(1, 30):
            url = f"http://127.0.0.1:{port}/v1"
            with pytest.raises(BackendError):
                await text_of(backend.reply(ReplyRequest(ASKED.messages, server_url=url)))
        assert len(backend._others) == 16


async def test_two_replies_at_once(server: Server) -> None:
    """Two callers' replies do not mix."""
    async with listening(Server(words=["B"] * 50)) as other, client(server) as backend:
        server.words = ["A"] * 50
        there = ReplyRequest(ASKED.messages, server_url=other.url)
        mine, theirs = await asyncio.gather(
            text_of(backend.reply(ASKED)), text_of(backend.reply(there))
        )
    assert (set(mine), set(theirs)) == ({"A"}, {"B"})


async def test_no_key_for_openai_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's own server wants a key: the message names the variable."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(LoadFailed, match="NO_SUCH_KEY"):
        await OpenAI(api_key_env="NO_SUCH_KEY").load()


async def test_tools_are_offered_and_their_calls_put_together(server: Server) -> None:
    """Two calls come in pieces, mixed; text before them is text, and their results go back."""
    server.words = ["Let me see."]
    server.deltas = [
        {"tool_calls": [_piece(0, id="a", name="weather", arguments='{"pla')]},
        {"tool_calls": [_piece(1, id="b", name="time", arguments="")]},
        {"tool_calls": [_piece(0, arguments='ce": "Oslo"}')]},
    ]
    schema = '{"type": "object", "properties": {"place": {"type": "string"}}}'
    asked = ReplyRequest(ASKED.messages, tools=(Tool("weather", "How it is.", schema),))
    async with client(server) as backend:
        items = [item async for item in backend.reply(asked)]
        calls = (ToolCall("a", "weather", '{"place": "Oslo"}'), ToolCall("b", "time", "{}"))
        assert items == [TextDelta("Let me see."), *calls]
        answered = (*ASKED.messages, Message("assistant", "", calls), Message("tool", "5", (), "a"))
        await text_of(backend.reply(ReplyRequest(answered)))
    first, second = server.requests
    assert first["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "How it is.",
                "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
            },
        }
    ]
    assert "tool_choice" not in first
    assert "tools" not in second
    assert second["messages"][2:] == [  # type: ignore[index]
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"place": "Oslo"}'},
                },
                {"id": "b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "content": "5", "tool_call_id": "a"},
    ]


async def test_a_call_can_be_demanded(server: Server) -> None:
    """As the protocol has it; without tools there is nothing to demand."""
    async with client(server) as backend:
        await text_of(
            backend.reply(ReplyRequest(ASKED.messages, tools=(Tool("a", ""),), must_call=True))
        )
        await text_of(backend.reply(ReplyRequest(ASKED.messages, must_call=True)))
    assert [request.get("tool_choice") for request in server.requests] == ["required", None]


def _piece(place: int, id: str | None = None, **function: str) -> dict[str, object]:
    return {"index": place, "id": id, "type": "function", "function": function}


async def test_a_long_history_is_cut(server: Server) -> None:
    """The oldest turns are not sent; the instructions and what was just said are."""
    turns = [Message("user", f"{n} " + "on and on " * 40) for n in range(20)]
    asked = ReplyRequest((ASKED.messages[0], *turns, ASKED.messages[1]))
    async with client(server, history_tokens=1000) as backend:
        await text_of(backend.reply(asked))
        with pytest.raises(BadInput):
            await text_of(backend.reply(ReplyRequest((Message("user", "x" * 5000),))))
    sent = server.requests[0]["messages"]
    assert sent[0]["content"] == "Be brief."  # type: ignore[index]
    assert sent[-1]["content"] == "Hello?"  # type: ignore[index]
    assert 2 < len(sent) < 15  # type: ignore[arg-type]
    assert len(server.requests) == 1


@asynccontextmanager
async def redirecting(target: str, status: int) -> AsyncIterator[str]:
    """The URL of a server that sends everybody elsewhere."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} X\r\nlocation: {target}\r\ncontent-length: 0\r\n"
        writer.write(f"{head}connection: close\r\n\r\n".encode())
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    finally:
        listener.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(server: Server, status: int) -> None:
    """An allowed server cannot send us to one that nobody has allowed."""
    asked = ReplyRequest(ASKED.messages)
    async with redirecting(server.url + "/models", status) as url, client(server) as backend:
        with pytest.raises(BackendError, match=str(status)):
            await text_of(backend.reply(dataclasses.replace(asked, server_url=url)))
    assert (server.requests, server.keys) == ([], [])


async def test_an_error_does_not_quote_the_conversation(server: Server) -> None:
    """Servers say what they were asked, and errors are logged: their names alone are kept."""
    quoted = {"message": "you said Hello?", "type": "invalid_request_error", "code": "Hello? again"}
    server.status, server.error = 400, quoted
    async with client(server) as backend:
        with pytest.raises(BadInput) as caught:
            await text_of(backend.reply(ASKED))
    assert str(caught.value) == "the server refuses the request: 400 invalid_request_error"
