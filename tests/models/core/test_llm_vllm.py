"""vLLM's real engine on a tiny checkpoint: what it says, what it frees, and how it fails."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from deployments.backends.llm_vllm import Vllm
from deployments.contracts import (
    BackendError,
    BadInput,
    LoadFailed,
    Message,
    ReplyItem,
    ReplyRequest,
    TextDelta,
    Tool,
    ToolCall,
)
from tests.tiny import qwen2

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),
]

CANCELLED_REPLIES = 500

LEAKED_MB = 8
ASKED = ReplyRequest((Message("system", "Be kind."), Message("user", "I need a holiday.")))
WEATHER = Tool("weather", "The weather at a place.")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint that speaks."""
    return qwen2.make(tmp_path_factory.mktemp("qwen2"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm(checkpoint: Path) -> AsyncIterator[Vllm]:
    """The engine, loaded once as it takes long; closed, no process of it is left, nor a zombie."""
    backend = Vllm(**qwen2.settings(checkpoint, max_tokens=200))
    before = engine_processes()
    await backend.load()
    engines = engine_processes() - before
    assert engines
    yield backend
    await backend.close()
    assert not [engine for engine in engines if engine.is_running()]
    with pytest.raises(BackendError, match="not running"):
        await read(backend.reply(ASKED))


def engine_processes() -> set[psutil.Process]:
    """The engines that this process started."""
    children = psutil.Process().children(recursive=True)
    return {child for child in children if "VLLM" in child.name()}


async def read(reply: AsyncIterator[ReplyItem]) -> list[ReplyItem]:
    """A whole reply."""
    return [item async for item in reply]


def text(items: list[ReplyItem]) -> str:
    """What was said."""
    return "".join(item.text for item in items if isinstance(item, TextDelta))


def unfinished(backend: Vllm) -> int:
    """Requests that the engine's front holds."""
    return engine_of(backend).get_num_unfinished_requests()


def engine_of(backend: Vllm) -> Any:
    """The engine itself."""
    return backend._engine


async def idle(backend: Vllm) -> None:
    """Return once the engine's process has no request: it can drop its cache only then."""
    while not await engine_of(backend).reset_prefix_cache():  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def test_a_reply_is_written_token_by_token(llm: Vllm) -> None:
    """The model says what its weights have it say, as often as `max_tokens` allows."""
    items = await read(llm.reply(ASKED))
    said = "".join(qwen2.SAID)
    assert text(items) == said * (200 // len(qwen2.SAID))
    assert len(items) > 20  # Tokens come together where this process is slow to take them.


async def test_a_tool_is_called_and_its_result_heard(llm: Vllm) -> None:
    """With tools the reply is a call, whose marks nobody hears; with the result it is text."""
    asked = ReplyRequest(ASKED.messages, tools=(WEATHER,))
    [call] = await read(llm.reply(asked))
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments_json) == ("weather", '{"place": "Oslo"}')
    answered = (
        *ASKED.messages,
        Message("assistant", "", (call,)),
        Message("tool", "It rains.", tool_call_id=call.call_id),
    )
    assert text(await read(llm.reply(ReplyRequest(answered, tools=(WEATHER,))))).startswith(" Well")


async def test_a_long_history_is_cut(llm: Vllm) -> None:
    """A conversation of many times the model's length is answered."""
    turns = [Message(role, "on and on " * 20) for _ in range(50) for role in ("user", "assistant")]  # type: ignore[arg-type]
    long = ReplyRequest((ASKED.messages[0], *turns, ASKED.messages[1]))
    assert text(await read(llm.reply(long)))


async def test_a_turn_that_does_not_fit_is_bad_input(llm: Vllm) -> None:
    """The newest turn is never cut: it is refused, and the next reply works."""
    with pytest.raises(BadInput, match="fit"):
        await read(llm.reply(ReplyRequest((Message("user", "?" * 9000),))))
    assert text(await read(llm.reply(ASKED)))


async def test_a_closed_reply_frees_its_request(llm: Vllm) -> None:
    """Closing the iterator ends the work in the engine, before it returns at its front."""
    async with aclosing(llm.reply(ASKED)) as reply:  # type: ignore[type-var]
        await anext(reply)
        assert unfinished(llm) == 1
    assert unfinished(llm) == 0
    await asyncio.wait_for(idle(llm), 10)


async def test_cancelled_replies_leak_nothing(llm: Vllm) -> None:
    """Cancelled at every stage, from before the request is added on: no request, task, file, MB."""
    process = psutil.Process()
    both = [process, *process.children(recursive=True)]
    for warm in range(3):
        await cancelled_after(llm, warm)
    await idle(llm)
    gc.collect()
    tasks, files = len(asyncio.all_tasks()), [each.num_fds() for each in both]
    memory = sum(each.memory_info().rss for each in both)
    for steps in range(CANCELLED_REPLIES):
        await cancelled_after(llm, steps % 40)
    await asyncio.wait_for(idle(llm), 10)
    gc.collect()
    assert unfinished(llm) == 0
    assert len(asyncio.all_tasks()) == tasks
    assert [each.num_fds() for each in both] == files
    assert sum(each.memory_info().rss for each in both) - memory < LEAKED_MB << 20


async def cancelled_after(llm: Vllm, steps: int) -> None:
    """Start a reply and cancel it after some passes of the loop, twice, as an impatient scope.

    From 30 steps on the engine has begun to write.
    """
    writing = asyncio.Event()

    async def listen() -> None:
        async for _ in llm.reply(ASKED):
            writing.set()

    reading = asyncio.ensure_future(listen())
    if steps >= 30:
        await writing.wait()
    for _ in range(steps % 30):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])


async def test_a_request_cancelled_while_it_is_added_is_taken_back(
    llm: Vllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM alone forgets it: it would be written to its end, for nobody."""
    client = engine_of(llm).engine_core
    added = asyncio.Event()
    add = client.add_request_async

    async def slow(request: object) -> None:
        await add(request)
        added.set()
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(client, "add_request_async", slow)
    reading = asyncio.ensure_future(read(llm.reply(ASKED)))
    await added.wait()
    reading.cancel()
    await asyncio.wait([reading])
    assert unfinished(llm) == 0
    await asyncio.wait_for(idle(llm), 10)


async def test_a_load_that_cannot_work_says_what_to_change(checkpoint: Path) -> None:
    """One line, that names the setting."""
    for settings, told in (
        ({"model": "nobody/nothing"}, "give `model` a directory"),
        ({"quantization": "magic"}, "Unknown quantization method: magic"),
        ({"max_model_len": 99_999}, "max_model_len"),
        ({"engine": {"max_num_batched_token": 8}}, "did you mean max_num_batched_tokens?"),
        ({"engine": {"model": "x"}}, "model is a setting of llm backend 'vllm' itself"),
    ):
        with pytest.raises(LoadFailed, match=told.replace("?", r"\?")) as caught:
            await Vllm(**qwen2.settings(checkpoint, **settings)).load()
        assert "\n" not in str(caught.value)


async def test_a_dead_engine_is_seen_and_closed(checkpoint: Path) -> None:
    """The reply fails, the health check fails, and `close` leaves no process."""
    before = engine_processes()
    backend = Vllm(**qwen2.settings(checkpoint, max_tokens=900))
    await backend.load()
    await backend.check_health()
    engines = engine_processes() - before
    reply = backend.reply(ASKED)
    await anext(reply)
    for engine in engines:
        engine.kill()
    with pytest.raises(BackendError):
        async for _ in reply:
            pass
    with pytest.raises(BackendError, match="dead"):
        await backend.check_health()
    await backend.close()
    assert not [engine for engine in engines if engine.is_running()]
