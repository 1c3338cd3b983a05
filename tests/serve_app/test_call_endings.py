"""One call on its way out: clients that vanish, never read, or send nonsense; limits; faults."""

from __future__ import annotations

import asyncio
import json

import pytest

from serve_app.call import BAD_AUDIO_LIMIT
from serve_app.conversation.policy import TurnPolicy
from serve_app.outbox import LIMIT
from tests.fake_socket import FakeSocket
from tests.fakes import HANG, FakeStages, spoken
from tests.open_call import SEND_TIMEOUT_S, OpenCall, open_call, start
from tests.virtual_time import in_virtual_time

ODD = b"\x00" * 3
"""An odd number of PCM bytes cannot be decoded."""


@pytest.mark.parametrize("how", ["vanish", "break_off"])
@pytest.mark.parametrize("moment_ms", [50, 600, 1_000, 1_300, 2_500, 20_000])
@in_virtual_time
async def test_a_client_that_vanishes_leaves_nothing_behind(how: str, moment_ms: int) -> None:
    """At any moment of a turn: run() returns, every generator is closed, no task is left."""
    stages = FakeStages(
        partial=[0.3, "so"],
        finals=[[0.5, "hello"]],
        replies=[["Good morning to you. ", 0.5, "And so on.", HANG]],
        speak_as=lambda request: [step for chunk in spoken(request.text) for step in (0.1, chunk)],
    )
    async with open_call(stages, TurnPolicy(speculation="off")) as call:
        async with asyncio.TaskGroup() as tasks:
            talking = tasks.create_task(call.client.turn(640))
            await asyncio.sleep(moment_ms / 1000)
            getattr(call.client, how)()
            left_at = asyncio.get_running_loop().time()
            await call.over()
            assert asyncio.get_running_loop().time() - left_at < 0.05
            talking.cancel()
        assert stages.running == []


@pytest.mark.parametrize("hung", ["stt", "llm", "tts"])
@in_virtual_time
async def test_a_client_that_vanishes_while_a_stage_hangs(hung: str) -> None:
    """The hung work is closed too."""
    stages = FakeStages(
        finals=[[HANG]] if hung == "stt" else [["hello"]],
        replies=[[HANG]] if hung == "llm" else [["Good morning to you."]],
    )
    if hung == "tts":
        stages.speak_as = lambda _: [HANG]
    async with open_call(stages) as call:
        await call.client.turn()
        await asyncio.sleep(1)
        assert [work.stage for work in stages.running] == [hung]
        call.client.vanish()
        await call.over()
        assert [work.how for work in stages.of(hung)] == ["closed"]


@in_virtual_time
async def test_cancelling_a_call_is_a_disconnect() -> None:
    """Behind the fast front door a disconnect cancels the handler: all is cleaned up."""
    stages = FakeStages(replies=[["Good morning to you.", HANG]])
    client = FakeSocket()
    task = start(stages, client)
    client.say("text", text="hi")
    await client.until("audio")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stages.running == []
    assert stages.of("llm")[0].how == "closed"


@in_virtual_time
async def test_a_client_that_never_reads_is_lost_after_the_send_timeout() -> None:
    """It costs one time-out, not memory; its work is stopped."""
    stages = FakeStages(replies=[["One two three four. ", HANG]])
    async with open_call(stages) as call:
        call.client.blocked = True
        call.client.say("text", text="hi")
        began = asyncio.get_running_loop().time()
        await call.over()
        assert asyncio.get_running_loop().time() - began == pytest.approx(SEND_TIMEOUT_S)
        assert stages.running == []


@in_virtual_time
async def test_what_waits_for_a_client_is_bounded() -> None:
    """A full queue loses the call before the send time-out does."""
    stages = FakeStages(replies=[["word "] * (LIMIT * 3)])
    async with open_call(stages) as call:
        call.client.blocked = True
        call.client.say("text", text="hi")
        began = asyncio.get_running_loop().time()
        await call.over()
        assert asyncio.get_running_loop().time() - began < SEND_TIMEOUT_S
        assert call.client.sent == []
        assert stages.running == []


@in_virtual_time
async def test_undecodable_audio_is_told_now_and_then() -> None:
    """The first bad packet is told, then one in fifty; good audio ends the count."""
    async with open_call() as call:
        for _ in range(101):
            call.client.put(ODD)
        await call.client.until("error", 3)
        assert call.client.errors == ["invalid_audio"] * 3
        await call.client.speak(32)
        for _ in range(BAD_AUDIO_LIMIT - 1):
            call.client.put(ODD)
        await call.client.until("error", 8)
        await call.client.turn()
        await call.client.until("reply_done")
        assert call.client.errors == ["invalid_audio"] * 8


@in_virtual_time
async def test_nothing_but_undecodable_audio_ends_the_call() -> None:
    """250 bad packets in a row: 1003."""
    async with open_call() as call:
        for _ in range(BAD_AUDIO_LIMIT):
            call.client.put(ODD)
        await call.over()
        assert call.client.closed_with == 1003
        assert call.client.errors == ["invalid_audio"] * 5


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "null",
        '{"type": "dance"}',
        '{"type": "text"}',
        '{"type": "played"}',
        "[" * 9999,
    ],
)
@in_virtual_time
async def test_bad_json_is_told_and_the_call_stays_open(message: str) -> None:
    """A typed error for each; the next message counts."""
    async with open_call() as call:
        call.client.put(message)
        await call.client.until("error")
        assert call.client.errors == ["invalid_request_error"]
        call.client.say("text", text="hi")
        await call.client.until("reply_done")


@pytest.mark.parametrize(
    "message", [json.dumps({"type": "text", "text": "a" * 100_000}), bytes(2_000_000)]
)
@in_virtual_time
async def test_a_message_too_big_ends_the_call(message: str | bytes) -> None:
    """1009, after the reason."""
    async with open_call() as call:
        call.client.put(message)
        await call.over()
        assert call.client.errors == ["message_too_big"]
        assert call.client.closed_with == 1009


@in_virtual_time
async def test_an_idle_caller_is_let_go() -> None:
    """Silence for ever: session_expired, 1001."""
    async with open_call(policy=TurnPolicy(idle_ms=10_000)) as call:
        began = asyncio.get_running_loop().time()
        await call.over()
        assert asyncio.get_running_loop().time() - began == pytest.approx(10)
        assert call.client.errors == ["session_expired"]
        assert call.client.closed_with == 1001


@in_virtual_time
async def test_sending_silence_is_idle_too() -> None:
    """A client that connects and never speaks."""
    async with open_call(policy=TurnPolicy(idle_ms=3_000)) as call:
        await call.client.be_silent(3_100)
        await call.over()
        assert call.client.closed_with == 1001


@in_virtual_time
async def test_the_longest_call_ends_mid_reply() -> None:
    """The reply is cut, history and client agree, then session_expired and 1001."""
    stages = FakeStages(replies=[["One two three four five six seven eight nine ten.", HANG]])
    async with open_call(stages, TurnPolicy(max_call_ms=1_000)) as call:
        call.client.say("text", text="hi")
        await call.over()
        assert call.client.closed_with == 1001
        assert call.client.errors == ["session_expired"]
        assert call.client.of("reply_done")[0].fields["status"] == "interrupted"
        assert call.client.closed_at is not None
        assert stages.running == []


@in_virtual_time
async def test_a_fault_of_ours_closes_with_1011_and_is_not_hidden() -> None:
    """A bug in one call's task ends that call, stops its work and reaches the log."""
    stages = FakeStages(replies=[["Good morning to you. ", HANG]])
    stages.speak_as = lambda _: [ZeroDivisionError("a bug")]
    client = FakeSocket()
    task = start(stages, client)
    client.say("text", text="hi")
    with pytest.raises(ExceptionGroup) as caught:
        await task
    assert caught.group_contains(ZeroDivisionError)
    assert client.closed_with == 1011
    assert stages.running == []


@in_virtual_time
async def test_one_callers_end_is_not_anothers() -> None:
    """A call next to one that breaks off and one that faults goes on unharmed."""

    async def good(call: OpenCall) -> None:
        for turn in range(1, 4):
            await call.client.turn()
            await call.client.until("reply_done", turn)

    async with open_call() as call:
        bad, faulty = FakeSocket(), FakeSocket()
        broken = FakeStages(replies=[[ZeroDivisionError("a bug")]])
        tasks = [start(call.stages, bad), start(broken, faulty)]
        bad.say("text", text="hi")
        faulty.say("text", text="hi")
        talking = asyncio.create_task(good(call))
        await bad.until("audio")
        bad.break_off()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), ExceptionGroup]
        await talking
        assert [m.fields["status"] for m in call.client.of("reply_done")] == ["completed"] * 3


@in_virtual_time
async def test_a_limit_that_is_past_while_messages_wait() -> None:
    """Its alarm rings at once, as soon as they are taken in: the call ends by the limit."""
    client = FakeSocket()
    for _ in range(3):
        client.say("interrupt")
    await start(FakeStages(), client, TurnPolicy(max_call_ms=0))
    assert client.closed_with == 1001
    assert client.errors == ["session_expired"]
