"""Cancelling, faults and bad input on a real graph whose stages write down their steps."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from clients import events as told
from clients.voice_client import CallLost, CallRefused
from tests.e2e.caller import Caller, calling
from tests.e2e.graph import Graph
from tests.openai_server import Server, listening

pytestmark = pytest.mark.timeout(180)

OBEYED_S = 0.05
QUERY: dict[str, Any] = {"codec": "pcm16", "rate": 16_000}


async def speaking(caller: Caller, text: str = "go on") -> str:
    """A reply that is being spoken: its id."""
    await caller.client.send_text(text)
    return (await caller.until_a(told.Audio)).reply_id


async def nothing_for(caller: Caller, seconds: float, kind: type) -> None:
    """For so long none of a kind comes."""
    with pytest.raises(TimeoutError):
        await caller.until_a(kind, seconds)


async def assert_work_stops(graph: Graph, decided_at: float) -> None:
    """No step of the model or the voice starts later than 50 ms after the decision."""
    async with calling(graph.url, **QUERY) as other:
        await nothing_for(other, 0.5, told.Audio)
    for stage in ("llm", "tts"):
        steps = graph.steps(stage)
        assert steps, f"{stage} never worked"
        assert steps[-1] - decided_at < OBEYED_S, f"{stage} worked on"


async def test_an_interrupt_stops_everything(stepping: Graph) -> None:
    """Nothing of the reply comes after its end, and both replicas stop their steps."""
    async with calling(stepping.url, **QUERY) as caller:
        await speaking(caller)
        await caller.client.interrupt()
        done = await caller.until_a(told.ReplyDone)
        decided_at = time.monotonic()
        assert done.status == "interrupted"
        caller.events.clear()
        await nothing_for(caller, 0.3, told.Audio)
        assert not caller.of(told.ReplyText)
        await assert_work_stops(stepping, decided_at)


async def test_a_caller_who_vanishes_stops_everything(stepping: Graph) -> None:
    """A connection that is cut mid-reply leaves no work behind."""
    async with calling(stepping.url, **QUERY) as caller:
        await speaking(caller)
        caller.client._connection.abort()
        gone_at = time.monotonic()
        with contextlib.suppress(CallLost):
            await caller.until_closed()
    await assert_work_stops(stepping, gone_at + 0.1)


@pytest.mark.parametrize("word", ["fail-first", "fail-late", "mute"])
async def test_a_failing_stage_fails_its_reply_alone(stepping: Graph, word: str) -> None:
    """The reply is failed with a typed error; the call goes on to the next."""
    async with calling(stepping.url, **QUERY) as caller:
        await caller.client.send_text(word)
        error = await caller.until_a(told.ServerError, 40)
        done = await caller.until_a(told.ReplyDone)
        assert error.code == "stage_failed"
        assert done.status == "failed"
        assert bool(caller.of(told.Audio)) == (word != "mute")
        await speaking(caller)


async def test_a_stage_that_hangs_times_out(stepping: Graph) -> None:
    """Asked twice, then an apology: the call goes on."""
    async with calling(stepping.url, **QUERY) as caller:
        await caller.client.send_text("hang")
        error = await caller.until_a(told.ServerError, 20)
        assert error.code == "stage_timeout"
        assert caller.of(told.Audio)
        await caller.until_a(told.ReplyDone)


@pytest.mark.parametrize("deployment", ["LanguageModel", "TextToSpeech"])
async def test_a_killed_replica_drops_no_call(stepping: Graph, deployment: str) -> None:
    """SIGKILL mid-reply: the reply ends, the call goes on, and service is back."""
    async with calling(stepping.url, **QUERY) as caller:
        await speaking(caller)
        stepping.replica(deployment).send_signal(signal.SIGKILL)
        await caller.client.send_text("go on")
        first = await caller.until_a(told.ReplyDone, 30)
        assert first.status in ("interrupted", "failed")
        for _ in range(20):
            caller.events.clear()
            await caller.client.send_text("go on")
            with contextlib.suppress(TimeoutError):
                await caller.until_a(told.Audio, 4)
                return
        raise AssertionError(f"{deployment} did not come back")


async def test_past_the_cap_is_refused_at_once(stepping: Graph) -> None:
    """The eleventh call gets a reason and a time to come back; the ten go on."""
    await room_for_all(stepping)
    async with contextlib.AsyncExitStack() as calls:
        for _ in range(10):
            caller = await calls.enter_async_context(calling(stepping.url, **QUERY))
            await caller.until_a(told.Ready)
        began = time.monotonic()
        with pytest.raises(CallRefused) as refused:
            await calls.enter_async_context(calling(stepping.url, **QUERY))
        assert time.monotonic() - began < 5
        assert (refused.value.code, refused.value.status) == ("at_capacity", 503)
        assert refused.value.retry_after_s
        await speaking(caller)
    await room_for_all(stepping)


async def room_for_all(graph: Graph) -> None:
    """The slots of calls that ended are free again."""
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        calls = 1
        while calls:
            calls = (await client.get(f"http://{graph.host}/readyz")).json()["calls"]


async def test_bad_input_gets_a_typed_error_and_the_call_goes_on(stepping: Graph) -> None:
    """Odd bytes and broken JSON are dropped; the next turn is answered."""
    async with calling(stepping.url, **QUERY) as caller:
        await caller.client._connection.send(b"\x01\x02\x03")
        assert (await caller.until_a(told.ServerError)).code == "invalid_audio"
        await caller.client._connection.send("{not json")
        assert (await caller.until_a(told.ServerError)).code == "invalid_request_error"
        await speaking(caller)


async def test_an_undecodable_opus_packet(stepping: Graph) -> None:
    """The same for a packet that is not Opus."""
    async with calling(stepping.url, codec="opus") as caller:
        await caller.client.send_packet(b"\xff" * 40)
        assert (await caller.until_a(told.ServerError)).code == "invalid_audio"
        await speaking(caller)


@pytest.mark.parametrize("size", [2_000_000, 100_000_000])
async def test_a_message_that_is_too_big_closes_its_call_alone(stepping: Graph, size: int) -> None:
    """Close 1009 for the sender; a call beside it does not notice."""
    async with calling(stepping.url, **QUERY) as beside:
        await speaking(beside)
        async with connect(
            f"{stepping.url}?codec=pcm16", compression=None, max_size=None
        ) as socket:
            closed = None
            try:
                await socket.send(bytes(size))
                async with asyncio.timeout(20):
                    while True:
                        await socket.recv()
            except ConnectionClosed as error:
                closed = error.rcvd.code if error.rcvd else 1006
        assert closed in ((1009,) if size < 10_000_000 else (1009, 1006))
        beside.events.clear()
        await beside.until_a(told.Audio)


async def refusal(url: str) -> tuple[int, dict[str, Any]]:
    """The HTTP status and the error with which a handshake is denied."""
    with pytest.raises(InvalidStatus) as denied:
        await connect(url, compression=None)
    return denied.value.response.status_code, json.loads(denied.value.response.body)["error"]


@pytest.mark.parametrize(
    "query", ["codec=pcm16&rate=7", "codec=mp3", "reply=tape", "codec=pcm16&rate=abc"]
)
async def test_a_wrong_query_is_refused(stepping: Graph, query: str) -> None:
    """HTTP 400 with a typed error, before the call begins."""
    status, error = await refusal(f"{stepping.url}?{query}")
    assert (status, error["code"]) == (400, "invalid_request_error")


async def test_another_model_server_is_refused_unless_listed(stepping: Graph) -> None:
    """The allow-list is empty: 403."""
    status, error = await refusal(f"{stepping.url}?vllm_url=http://127.0.0.1:1/v1")
    assert (status, error["code"]) == (403, "url_not_allowed")


async def test_a_listed_model_server_writes_the_replies(stepping: Graph) -> None:
    """`vllm_url` sends this call's turns there, and no key with them."""
    async with listening(Server(words=["From ", "elsewhere."]), stepping.llm_port) as server:
        url = f"{stepping.url}?codec=pcm16&vllm_url={server.url}"
        async with connect(url, compression=None) as socket:
            await socket.send('{"type": "text", "text": "hello"}')
            done: dict[str, Any] = {}
            while done.get("type") != "reply_done":
                message = await socket.recv()
                done = json.loads(message) if isinstance(message, str) else done
    assert done["heard"] == "From elsewhere."
    assert server.requests[0]["model"] == "first-model"
    assert not any("Bearer" in key and "none" not in key for key in server.keys)


async def test_a_browser_is_told_inside_the_socket(stepping: Graph) -> None:
    """It cannot read a denied handshake: accepted, told why, closed."""
    url = f"{stepping.url}?codec=mp3"
    async with connect(url, compression=None, origin=Origin(f"http://{stepping.host}")) as socket:
        assert "invalid_request_error" in str(await socket.recv())
        await socket.wait_closed()
        assert socket.close_code == 1008


async def test_a_client_that_never_reads_is_let_go(stepping: Graph) -> None:
    """Its socket fills, or its time runs out; others do not notice."""
    async with connect(f"{stepping.url}?codec=pcm16", compression=None, max_queue=1) as socket:
        await socket.send('{"type": "text", "text": "go on"}')
        async with calling(stepping.url, **QUERY) as beside:
            await speaking(beside)
            await beside.client.interrupt()
            assert (await beside.until_a(told.ReplyDone)).status == "interrupted"


async def test_silence_for_ever_ends_by_the_idle_limit(stepping: Graph) -> None:
    """A caller who connects and never speaks is told why and hung up on."""
    async with connect(f"{stepping.url}?codec=pcm16", compression=None) as socket:
        async with asyncio.timeout(40):
            messages = [message async for message in socket_messages(socket)]
        assert any("session_expired" in str(message) for message in messages)
        assert socket.close_code == 1001


async def socket_messages(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    """Everything until the server hangs up, however it does."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield await socket.recv()


async def test_resume_is_answered_and_the_call_goes_on(stepping: Graph) -> None:
    """Where nothing is kept: said so after `ready`, and a fresh call begins."""
    async with connect(f"{stepping.url}?codec=pcm16&resume=abc", compression=None) as socket:
        assert '"ready"' in str(await socket.recv())
        assert "resume_unavailable" in str(await socket.recv())
