"""One call when both speak: barge-in, false barge-in, interruption, speculation."""

from __future__ import annotations

import asyncio

import pytest

from deployments.contracts import Message
from serve_app.conversation.policy import TurnPolicy
from tests.fakes import RATE, FakeStages, Script, audio_of, spoken
from tests.open_call import OpenCall, open_call
from tests.virtual_time import in_virtual_time

ANSWER = "One two three four five. Six seven eight nine ten eleven twelve thirteen fourteen."
LONG_ANSWER = [ANSWER, *([0.5, " More and more words."] * 20)]
ANSWER_PHRASES = (
    "One two three four five.",
    "Six seven eight nine ten eleven twelve thirteen fourteen.",
)


def chatty_stages(partial: Script = ("",), final: str = "hello") -> FakeStages:
    """A model that writes for ten seconds and a voice that takes its time."""
    return FakeStages(
        partial=partial,
        finals=[[final]],
        replies=[LONG_ANSWER, ["Fine."]],
        speak_as=lambda request: [step for chunk in spoken(request.text) for step in (0.05, chunk)],
    )


async def speaking(call: OpenCall, for_ms: int = 1_000) -> None:
    """The agent has been speaking for this long."""
    call.client.say("text", text="go on")
    await call.client.until("audio")
    await asyncio.sleep(for_ms / 1000)


def after_flush(call: OpenCall) -> list[str]:
    """The kinds of message that came after the flush."""
    kinds = [message.kind for message in call.client.sent]
    return kinds[kinds.index("flush") + 1 :]


@in_virtual_time
async def test_barge_in_flushes_cancels_and_answers() -> None:
    """The caller speaks over the reply: it stops at once, and what was heard is kept."""
    stages = chatty_stages([0.02, "wait"], "wait a moment")
    async with open_call(stages) as call:
        await speaking(call)
        began = asyncio.get_running_loop().time()
        await call.client.turn(640)
        await call.client.until("reply_done", 2)
        [flush] = call.client.of("flush")
        # 200 ms of speech decide, in frames of 32 ms.
        assert flush.at - began == pytest.approx(0.224, abs=0.001)
        late = [m for m in call.client.sent if m.at >= flush.at and m.kind == "audio"]
        assert b"".join(m.pcm for m in late) == audio_of("Fine.")
        first = after_flush(call).index("audio")
        assert "reply_started" in after_flush(call)[:first]
        done = call.client.of("reply_done")[0].fields
        assert done["status"] == "interrupted"
        assert done["heard"] == "One two three four five."[: len(done["heard"])]
        assert 3 <= len(done["heard"].split()) <= 5
    assert stages.of("llm")[1].request.messages == (
        Message("user", "go on"),
        Message("assistant", done["heard"]),
        Message("user", "wait a moment"),
    )


@in_virtual_time
async def test_barge_in_stops_the_stages_within_50_ms_of_the_decision() -> None:
    """Words decide; the model and the voice are closed then, and nothing new is started."""
    stages = chatty_stages([0.02, "wait"], "wait a moment")
    async with open_call(stages) as call:
        await speaking(call)
        await call.client.speak(640)
        done = await call.client.until("reply_done")
        await call.client.be_silent(320)
        words_at = next(work.ended_at for work in stages.of("partial") if work.ended_at)
        assert done.at - words_at < 0.001
        for work in [*stages.of("llm"), *stages.of("tts")]:
            assert work.ended_at is not None
            assert work.ended_at - words_at < 0.05
            assert work.began_at <= words_at
        assert stages.of("llm")[0].how == "closed"


@in_virtual_time
async def test_a_false_barge_in_resumes_without_loss_or_repetition() -> None:
    """A cough stops the sound; it goes on at the last sample heard."""
    stages = chatty_stages(final="")
    stages.replies = [[ANSWER]]
    async with open_call(stages) as call:
        await speaking(call, 700)
        await call.client.speak(320)
        await call.client.be_silent(1_000)
        await call.client.until("reply_done")
        [flush], [resumed] = call.client.of("flush"), call.client.of("reply_resumed")
        assert resumed.fields["reply_id"] == flush.fields["reply_id"] == "reply-1"
        sent = call.client.sent
        before = b"".join(m.pcm for m in sent[: sent.index(resumed)])
        after = b"".join(m.pcm for m in sent[sent.index(resumed) :])
        kept = resumed.fields["from_ms"] * RATE // 1000 * 2
        assert 0 < kept < len(before)
        assert before[:kept] + after == audio_of(*ANSWER_PHRASES)
        assert all(m.kind != "audio" for m in sent[sent.index(flush) : sent.index(resumed)])
        assert call.client.of("reply_done")[0].fields == {
            "type": "reply_done",
            "reply_id": "reply-1",
            "status": "completed",
            "heard": ANSWER,
        }


@in_virtual_time
async def test_a_cough_too_short_to_interrupt_changes_nothing() -> None:
    """Less than `min_interrupt_ms` of speech does not pause the reply."""
    stages = chatty_stages(final="")
    stages.replies = [[ANSWER]]
    async with open_call(stages) as call:
        await speaking(call)
        await call.client.speak(160)
        await call.client.be_silent(700)
        await call.client.until("reply_done")
        assert call.client.of("flush") == []
        assert call.client.pcm == audio_of(*ANSWER_PHRASES)


@in_virtual_time
async def test_interrupt_ends_the_reply() -> None:
    """The client's own button: flush, done, and the stages are stopped."""
    stages = chatty_stages()
    async with open_call(stages) as call:
        await speaking(call)
        call.client.say("interrupt")
        done = await call.client.until("reply_done")
        assert after_flush(call) == ["reply_done"]
        assert done.fields["status"] == "interrupted"
        await asyncio.sleep(0.05)
        assert stages.running == []
        await asyncio.sleep(1)
        assert after_flush(call) == ["reply_done"]


@pytest.mark.parametrize("by", ["interrupt", "speech"])
@pytest.mark.parametrize("speaking_ms", [600, 2_000])
@in_virtual_time
async def test_what_a_slow_client_has_not_read_is_recalled(by: str, speaking_ms: int) -> None:
    """Audio that waits for the socket never leaves once the reply is stopped."""
    stages = FakeStages(partial=["wait"], finals=[["wait"]], replies=[[ANSWER]])
    async with open_call(stages) as call:
        call.client.send_s = 0.08
        await speaking(call, speaking_ms)
        if by == "interrupt":
            call.client.say("interrupt")
        else:
            await call.client.speak(224)
        decided_at = asyncio.get_running_loop().time()
        call.client.vanish()
        await call.over()
        late = [m for m in call.client.since(decided_at + 0.001) if m.kind == "audio"]
        # The message that was being written is all.
        assert len(late) <= 1


@in_virtual_time
async def test_interrupt_before_the_first_sound() -> None:
    """There is nothing to flush; the model is stopped."""
    stages = FakeStages(replies=[[5, "Late."], ["Soon enough."]])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        await asyncio.sleep(1)
        call.client.say("interrupt")
        done = await call.client.until("reply_done")
        assert done.fields == {
            "type": "reply_done",
            "reply_id": "reply-1",
            "status": "interrupted",
            "heard": "",
        }
        assert call.client.of("flush") == []
        call.client.say("text", text="hello?")
        await call.client.until("reply_done", 2)
    assert [work.how for work in stages.of("llm")] == ["closed", "done"]


@in_virtual_time
async def test_interrupt_while_nothing_is_said_is_nothing() -> None:
    """No error, no message."""
    async with open_call() as call:
        call.client.say("interrupt")
        await asyncio.sleep(1)
        assert call.client.kinds == ["ready"]


@in_virtual_time
async def test_a_typed_turn_interrupts() -> None:
    """The reply before it ends as interrupted, and the new one follows."""
    stages = chatty_stages()
    async with open_call(stages) as call:
        await speaking(call)
        call.client.say("text", text="enough")
        await call.client.until("reply_done", 2)
        statuses = [m.fields["status"] for m in call.client.of("reply_done")]
        assert statuses == ["interrupted", "completed"]


@in_virtual_time
async def test_played_reports_cut_what_was_heard() -> None:
    """A client that plays late says so: no word counts that was not played."""
    stages = chatty_stages()
    async with open_call(stages) as call:
        await speaking(call, 1_000)
        call.client.say("played", reply_id="reply-1", ms=450)
        call.client.say("interrupt")
        done = await call.client.until("reply_done")
        assert done.fields["heard"] == "One two"
        call.client.say("text", text="and?")
        await call.client.until("reply_done", 2)
    assert stages.of("llm")[1].request.messages[1] == Message("assistant", "One two")


@in_virtual_time
async def test_played_cannot_credit_what_was_not_sent() -> None:
    """A report beyond what left counts as all that left."""
    stages = chatty_stages()
    async with open_call(stages) as call:
        await speaking(call, 300)
        call.client.say("played", reply_id="reply-1", ms=60_000)
        call.client.say("interrupt")
        done = await call.client.until("reply_done")
        sent_ms = len(call.client.pcm) / 2 * 1000 / RATE
        assert len(done.fields["heard"].split()) <= sent_ms / 200


@in_virtual_time
async def test_speculation_holds_the_reply_back_until_the_turn_is_over() -> None:
    """The reply is ready when the turn is: nothing left before, nothing is waited for after."""
    policy = TurnPolicy(speculation="reply")
    stages = FakeStages(finals=[[0.05, "hello"]], replies=[[0.1, "Good morning to you."]])
    async with open_call(stages, policy) as call:
        await call.client.turn()
        done = await call.client.until("reply_done")
        stopped = call.client.of("speech_stopped")[0]
        assert stages.of("tts")[0].began_at < stopped.at
        assert call.client.of("audio")[0].at == stopped.at
        assert done.fields["status"] == "completed"
        assert len(stages.of("llm")) == len(stages.of("stt")) == 1


@in_virtual_time
async def test_speculation_is_dropped_when_the_caller_goes_on() -> None:
    """A wrong guess leaves no trace, and its work is stopped."""
    policy = TurnPolicy(speculation="reply")
    stages = FakeStages(
        finals=[["hello"], ["hello and goodbye"]],
        answer=lambda request: ["You said ", 5, f"{request.messages[-1].content}."],
    )
    async with open_call(stages, policy) as call:
        await call.client.speak(640)
        await call.client.be_silent(256)
        await call.client.turn(640)
        await call.client.until("reply_done")
        assert [m.fields["text"] for m in call.client.of("final")] == ["hello and goodbye"]
        assert len(call.client.of("reply_started")) == 1
    assert [work.how for work in stages.of("llm")] == ["closed", "done"]
    assert stages.of("llm")[1].request.messages == (Message("user", "hello and goodbye"),)
