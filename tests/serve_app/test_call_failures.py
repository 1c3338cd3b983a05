"""One call whose stages fail or hang: the call goes on, and says what happened."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from deployments.contracts import Message, SpeechRequest, StageInfo
from serve_app.conversation.policy import TurnPolicy
from serve_app.errors import Stage, StageFailed, StageLost, StageRefused, StageTimeout
from serve_app.settings import Settings
from serve_app.stages import RayStages
from tests.fake_handles import FakeHandle
from tests.fake_socket import FakeSocket
from tests.fakes import HANG, FakeStages, Script, audio_of, spoken
from tests.open_call import APOLOGY, open_call, start
from tests.virtual_time import in_virtual_time


def lost(stage: Stage) -> StageLost:
    """A stage without replicas."""
    return StageLost(stage, "ActorDiedError: /secret/path")


@in_virtual_time
async def test_stt_fails_and_the_call_goes_on() -> None:
    """A typed error without the details, no reply; the next turn is answered."""
    stages = FakeStages(finals=[[lost("stt")], [lost("stt")], ["hello"]])
    async with open_call(stages) as call:
        await call.client.turn()
        error = await call.client.until("error")
        assert error.fields["code"] == "stage_unavailable"
        assert "secret" not in error.fields["message"]
        assert call.client.of("final") == []
        await call.client.turn()
        await call.client.until("reply_done")
        assert call.client.of("reply_done")[0].fields["status"] == "completed"


@in_virtual_time
async def test_a_partial_that_fails_is_not_missed() -> None:
    """Partials are a courtesy: the client is not told of one that failed."""
    stages = FakeStages(partial=[StageFailed("stt", "no")])
    async with open_call(stages) as call:
        await call.client.turn(1_280)
        await call.client.until("reply_done")
        assert call.client.errors == []
    assert stages.of("partial")


@in_virtual_time
async def test_llm_fails_before_the_first_token() -> None:
    """The apology is spoken, the reply has failed, the caller may try again."""
    stages = FakeStages(replies=[[StageFailed("llm", "CUDA")], ["Fine now, thank you."]])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        done = await call.client.until("reply_done")
        assert call.client.pcm == audio_of(APOLOGY)
        assert call.client.errors == ["stage_failed"]
        assert done.fields["status"] == "failed"
        call.client.say("text", text="again")
        done = await call.client.until("reply_done", 2)
        assert done.fields["status"] == "completed"


@in_virtual_time
async def test_llm_fails_after_the_first_token() -> None:
    """What is a whole phrase is spoken, then the apology; half a phrase is not."""
    script: Script = ["One two three four. And then", 0.1, lost("llm")]
    stages = FakeStages(replies=[script, ["Fine now, thank you."]])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        done = await call.client.until("reply_done")
        assert call.client.pcm == audio_of("One two three four.", APOLOGY)
        assert done.fields["status"] == "failed"
        assert call.client.errors == ["stage_unavailable"]


@in_virtual_time
async def test_a_phrase_the_voice_fails_on_is_left_out() -> None:
    """The reply goes on with the next phrase."""

    def speak(request: SpeechRequest) -> Script:
        failing = request.text.startswith("Four")
        return [StageFailed("tts", "no")] if failing else spoken(request.text)

    text = (
        "One two three. Four five six seven eight nine ten eleven twelve thirteen fourteen. "
        "And the last sentence of all of them is this one, at last, friend."
    )
    stages = FakeStages(replies=[[text], ["ok then, fine."]], speak_as=speak)
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        done = await call.client.until("reply_done")
        last = "And the last sentence of all of them is this one, at last, friend."
        assert call.client.pcm == audio_of("One two three.", last)
        assert done.fields["status"] == "failed"
        # By the clock, the last word was not surely heard yet.
        assert done.fields["heard"] == f"One two three. {last.removesuffix(' friend.')}"
        assert call.client.errors == ["stage_failed"]


@in_virtual_time
async def test_a_phrase_that_breaks_off_keeps_what_was_made() -> None:
    """Half a phrase is heard; it does not count as heard whole."""
    half = spoken("One two three four.")[:2]
    stages = FakeStages(replies=[["One two three four."]], speak_as=lambda _: [*half, lost("tts")])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        done = await call.client.until("reply_done")
        assert call.client.pcm == b"".join(chunk.pcm for chunk in half)
        assert done.fields["status"] == "failed"
        assert done.fields["heard"] in ("One", "One two")


@in_virtual_time
async def test_without_a_voice_the_text_still_arrives() -> None:
    """TTS is gone: the client reads the answer, and history knows that it did."""
    stages = FakeStages(replies=[["All is well here."]], speak_as=lambda _: [lost("tts")])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        done = await call.client.until("reply_done")
        assert call.client.of("reply_text")[0].fields["delta"] == "All is well here."
        assert call.client.of("audio") == []
        assert (done.fields["status"], done.fields["heard"]) == ("failed", "All is well here.")
        assert call.client.errors == ["stage_unavailable"]
        call.client.say("text", text="again")
        await call.client.until("reply_done", 2)
    assert Message("assistant", "All is well here.") in stages.of("llm")[1].request.messages


@in_virtual_time
async def test_model_and_voice_gone_together() -> None:
    """Nothing can be said; the reply ends failed, once, and the call goes on."""
    stages = FakeStages(replies=[[lost("llm")]], speak_as=lambda _: [lost("tts")])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        done = await call.client.until("reply_done")
        assert (done.fields["status"], done.fields["heard"]) == ("failed", "")
        assert call.client.errors == ["stage_unavailable"]
        await asyncio.sleep(1)
        assert not call.task.done()


@pytest.mark.parametrize("slow", ["stt", "llm", "tts"])
@in_virtual_time
async def test_a_stage_that_hangs_is_given_up_on(slow: str) -> None:
    """After `stage_timeout_ms` the client is told, the work is stopped, the call goes on."""
    stages = FakeStages(
        finals=[[HANG], ["hello"]] if slow == "stt" else [["hello"]],
        replies=[[HANG], ["Hi there, caller."]] if slow == "llm" else [["Hi there, caller."]],
    )
    if slow == "tts":
        hung: list[Script] = [[HANG]]
        stages.speak_as = lambda request: hung.pop() if hung else spoken(request.text)
    async with open_call(stages, TurnPolicy(stage_timeout_ms=3_000)) as call:
        await call.client.speak(640)
        stopped_at = asyncio.get_running_loop().time()
        await call.client.be_silent(5_000)
        error = await call.client.until("error")
        assert error.fields["code"] == "stage_timeout"
        assert 3.4 < error.at - stopped_at < 3.6
        await asyncio.sleep(0.05)
        assert [work for work in stages.running if work.stage != "stt"] == []
        await call.client.turn()
        await call.client.until("reply_done", 1 if slow == "stt" else 2)
        assert call.client.of("reply_done")[-1].fields["status"] == "completed"


@in_virtual_time
async def test_a_stage_that_times_out_by_itself_is_apologised_for() -> None:
    """What the stage's own time-out raises is a failure like another."""
    stages = FakeStages(replies=[[2, StageTimeout("llm", "nothing in 2 s")]])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        await call.client.until("reply_done")
        assert call.client.errors == ["stage_timeout"]
        assert call.client.pcm == audio_of(APOLOGY)


@in_virtual_time
async def test_a_refusal_is_told_as_one() -> None:
    """An unknown voice, say: the code differs, the sentence stays ours."""
    stages = FakeStages(speak_as=lambda _: [StageRefused("tts", "no voice 'x'")])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        await call.client.until("reply_done")
        assert call.client.errors == ["stage_refused"]
        assert "'x'" not in call.client.of("error")[0].fields["message"]


@in_virtual_time
async def test_a_reply_with_nothing_to_say_is_over_at_once() -> None:
    """An empty answer completes: no audio, no apology."""
    stages = FakeStages(replies=[[""], ["..."]])
    async with open_call(stages) as call:
        for turn in (1, 2):
            call.client.say("text", text="hi")
            done = await call.client.until("reply_done", turn)
            assert done.fields["status"] == "completed"
        assert call.client.of("audio") == []


@pytest.mark.parametrize("stage", ["llm", "tts"])
@in_virtual_time
async def test_a_failing_guess_is_asked_again_at_the_commit(stage: Stage) -> None:
    """With speculation, what failed before the turn was over is not told, but tried again."""
    stages = FakeStages(replies=[["Good morning to you."]])
    failing: list[Script] = [["Good ", StageFailed(stage, "no")]]
    if stage == "llm":
        stages.replies = [*failing, *stages.replies]
    else:
        stages.speak_as = lambda request: [failing.pop()[1]] if failing else spoken(request.text)
    async with open_call(stages, TurnPolicy(speculation="reply")) as call:
        await call.client.turn()
        done = await call.client.until("reply_done")
        assert done.fields["status"] == "completed"
        assert call.client.errors == []
        assert call.client.pcm == audio_of("Good morning to you.")


@in_virtual_time
async def test_a_model_that_hangs_is_apologised_for_before_the_machine_gives_up() -> None:
    """The real time-outs together, as an operator gets them: both tries, then the apology."""
    settings = Settings.model_validate(
        {stage: {"backend": "any"} for stage in ("stt", "llm", "tts")}
    )
    llm = FakeHandle(reply=[[HANG]])
    tts = FakeHandle(speak=[spoken(APOLOGY)])
    stages = RayStages(
        (cast(Any, FakeHandle()), settings.stt),
        (cast(Any, llm), settings.llm),
        (cast(Any, tts), settings.tts),
    )
    info = StageInfo("scripted")
    stages.info = {"stt": info, "llm": info, "tts": info}
    client = FakeSocket()
    call = start(stages, client, settings.turn_policy(incremental=False))
    client.say("text", text="hi")
    await client.until("reply_done")
    assert client.pcm == audio_of(APOLOGY)
    assert client.errors == ["stage_timeout"]
    assert (llm.cancels, tts.cancels) == ([1, 1], [1])
    client.say("end")
    await call
