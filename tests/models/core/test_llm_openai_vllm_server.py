"""The OpenAI client against vLLM's own server: the real protocol, as its makers write it."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio

from deployments.backends.llm_openai import OpenAI
from deployments.contracts import BadInput, Message, ReplyItem, ReplyRequest, Tool, ToolCall
from tests.tiny import qwen2

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),
]

ASKED = ReplyRequest((Message("system", "Be kind."), Message("user", "I need a holiday.")))
SAID = "".join(qwen2.SAID)
START_S = 500


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A vLLM server of the tiny checkpoint, which calls tools."""
    directory = qwen2.make(tmp_path_factory.mktemp("qwen2"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = f"""-m vllm.entrypoints.openai.api_server --model {directory} --port {port}
        --host 127.0.0.1 --served-model-name tiny --max-model-len 1024 --max-num-seqs 8
        --kv-cache-memory-bytes {64 << 20} --enforce-eager --distributed-executor-backend uni
        --enable-auto-tool-choice --tool-call-parser hermes"""
    quiet = {"VLLM_NO_USAGE_STATS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command.split(), env={**os.environ, **quiet}
    )
    try:
        async with asyncio.timeout(START_S), httpx.AsyncClient() as http:
            while process.returncode is None and not await answers(http, port):  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        assert process.returncode is None, "the server did not start"
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        await process.wait()


async def answers(http: httpx.AsyncClient, port: int) -> bool:
    """Whether the server is up."""
    try:
        return (await http.get(f"http://127.0.0.1:{port}/health")).is_success
    except httpx.TransportError:
        return False


@pytest_asyncio.fixture(loop_scope="module")
async def llm(url: str) -> AsyncIterator[OpenAI]:
    """A client of it."""
    backend = OpenAI(base_url=url, model="tiny", max_tokens=24, temperature=0.0, timeout_s=60)
    await backend.load()
    yield backend
    await backend.close()


async def read(reply: AsyncIterator[ReplyItem]) -> str:
    """A whole reply's text."""
    return "".join([cast(Any, item).text async for item in reply])


async def test_a_reply_comes_in_pieces(llm: OpenAI) -> None:
    """What the model says, as it says it."""
    pieces = [cast(Any, item).text async for item in llm.reply(ASKED)]
    assert len(pieces) > 1
    assert "".join(pieces).startswith(SAID * 2)


async def test_a_tool_call_and_its_result(llm: OpenAI) -> None:
    """The call comes out of the streamed deltas, and its result goes into the next prompt."""
    tools = (Tool("weather", "The weather."),)
    [call] = [item async for item in llm.reply(ReplyRequest(ASKED.messages, tools=tools))]
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments_json) == ("weather", '{"place": "Oslo"}')
    result = (Message("assistant", "", (call,)), Message("tool", "5", tool_call_id=call.call_id))
    answered = ReplyRequest((*ASKED.messages, *result), tools=tools)
    assert (await read(llm.reply(answered))).startswith(SAID)


async def test_a_closed_reply_is_aborted_at_the_server(url: str) -> None:
    """The engine has no request left that nobody reads."""
    backend = OpenAI(base_url=url, model="tiny", max_tokens=900, temperature=0.0, timeout_s=60)
    await backend.load()
    async with aclosing(cast(Any, backend.reply(ASKED))) as reply:
        await anext(reply)
    async with asyncio.timeout(20), httpx.AsyncClient() as http:
        while await running(http, url) != ["0.0"]:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    await backend.close()


async def running(http: httpx.AsyncClient, url: str) -> list[str]:
    """How many requests the server's engine has, as it says itself."""
    page = (await http.get(url.removesuffix("/v1") + "/metrics")).text
    return re.findall(r"^vllm:num_requests_running.* (\S+)$", page, re.MULTILINE)


async def test_two_at_once(llm: OpenAI) -> None:
    """Both are whole."""
    both = await asyncio.gather(read(llm.reply(ASKED)), read(llm.reply(ASKED)))
    assert both[0] == both[1]
    assert both[0].startswith(SAID)


async def test_what_the_server_refuses_is_bad_input(url: str) -> None:
    """A prompt longer than the model, where the estimate let it pass."""
    backend = OpenAI(base_url=url, model="tiny", history_tokens=100_000, timeout_s=60)
    await backend.load()
    with pytest.raises(BadInput, match="refuses"):
        await read(backend.reply(ReplyRequest((Message("user", "? " * 3000),))))
    await backend.close()


async def test_a_call_may_choose_this_server(url: str) -> None:
    """`vllm_url`: asked for its first model, with no key."""
    backend = OpenAI(base_url="http://127.0.0.1:1/v1", max_tokens=24, timeout_s=60)
    await backend.load()
    assert (await read(backend.reply(ReplyRequest(ASKED.messages, server_url=url))))[:5] == " Well"
    await backend.close()
