"""One call from its first message to its last: turns, order, history, pacing, settings."""

from __future__ import annotations

import asyncio

from deployments.contracts import Message, Transcript, Word
from tests.fake_socket import FakeSocket
from tests.fakes import RATE, Asked, FakeStages, audio_of, spoken
from tests.open_call import open_call, start
from tests.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_spoken_turn_end_to_end() -> None:
    """The caller hears an answer, and every message is in its place."""
    heard = Transcript("hello there", (Word("hello", 320, 500), Word("there", 500, 700)))
    stages = FakeStages(
        finals=[[0.03, heard]], partial=("hello",), replies=[[0.2, "Good morning ", "to you."]]
    )
    async with open_call(stages) as call:
        await call.client.be_silent(480)
        await call.client.turn(1_280)
        await call.client.until("reply_done")
        assert call.client.kinds == [
            "ready",
            "speech_started",
            "partial",
            "speech_stopped",
            "final",
            "transcript",
            "reply_started",
            "reply_text",
            "phrase",
            "audio",
            "timings",
            "audio",
            "reply_done",
        ]
        [final] = call.client.of("final")
        assert final.fields["text"] == "hello there"
        assert (final.fields["start_ms"], final.fields["end_ms"]) == (480, 1_760)
        assert [word["start_ms"] for word in final.fields["words"]] == [480, 660]
        assert call.client.pcm == audio_of("Good morning to you.")
        assert call.client.of("reply_done")[0].fields["heard"] == "Good morning to you."
        assert "".join(m.fields["delta"] for m in call.client.of("reply_text")) == (
            "Good morning to you."
        )
    assert call.client.closed_with == 1000


@in_virtual_time
async def test_timings_say_where_the_time_went() -> None:
    """The session table of a client is made of these."""
    stages = FakeStages(
        finals=[[0.03, "hello"]],
        replies=[[0.2, "Good morning to you."]],
        speak_as=lambda request: [0.1, *spoken(request.text)],
    )
    async with open_call(stages) as call:
        await call.client.turn()
        timings = (await call.client.until("timings")).fields
    assert timings["reply_id"] == "reply-1"
    assert timings["pause_ms"] == 512
    assert (timings["stt_ms"], timings["llm_ms"], timings["tts_ms"]) == (30, 200, 100)
    assert timings["pipeline_ms"] == 300


@in_virtual_time
async def test_the_first_text_is_timed_even_if_it_takes_no_time() -> None:
    """A model that answers at once is not credited with its second delta's time."""
    stages = FakeStages(replies=[["Good morning ", 0.5, "to you."]])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        assert (await call.client.until("timings")).fields["llm_ms"] == 0


@in_virtual_time
async def test_the_final_window_is_the_turn_with_what_led_into_it() -> None:
    """Speech-to-text gets the speech, 320 ms before it and the pause after it."""
    async with open_call() as call:
        await call.client.be_silent(960)
        await call.client.turn(640)
        await call.client.until("reply_done")
    [work] = call.stages.of("stt")
    asked: Asked = work.request
    assert asked.final
    samples = len(asked.pcm) // 2
    before = asked.pcm[: 320 * RATE // 1000 * 2]
    assert before == bytes(len(before))
    speech = asked.pcm[len(before) : len(before) + 640 * RATE // 1000 * 2]
    assert 0 not in speech[::2]
    assert samples == (320 + 640 + 64) * RATE // 1000


@in_virtual_time
async def test_a_typed_turn_is_answered_aloud() -> None:
    """Typing skips the ear and nothing else."""
    async with open_call() as call:
        call.client.say("text", text="good morning")
        await call.client.until("reply_done")
        assert call.client.kinds == [
            "ready",
            "reply_started",
            "reply_text",
            "phrase",
            "audio",
            "timings",
            "audio",
            "reply_done",
        ]
    assert call.stages.of("stt") == []


@in_virtual_time
async def test_several_turns_keep_the_conversation() -> None:
    """The model is shown all that was said and heard before, and the instructions."""
    stages = FakeStages(
        finals=[["one"], ["two"]], replies=[["First answer here."], ["Second."], ["Third."]]
    )
    async with open_call(stages, instructions="Be brief.") as call:
        await call.client.turn()
        await call.client.until("reply_done", 1)
        await call.client.turn()
        await call.client.until("reply_done", 2)
        call.client.say("text", text="three")
        await call.client.until("reply_done", 3)
    assert [work.request.messages for work in stages.of("llm")][-1] == (
        Message("system", "Be brief."),
        Message("user", "one"),
        Message("assistant", "First answer here."),
        Message("user", "two"),
        Message("assistant", "Second."),
        Message("user", "three"),
    )


@in_virtual_time
async def test_audio_leaves_at_once_and_never_far_ahead() -> None:
    """The first audio leaves when it is there; no more than 250 ms wait at the client."""
    stages = FakeStages(replies=[["One two three four five six seven eight nine ten."]])
    async with open_call(stages) as call:
        call.client.say("text", text="count")
        await call.client.until("reply_done")
        audio = call.client.of("audio")
        assert audio[0].at == stages.of("tts")[0].began_at
        played_from, sent_ms = audio[0].at, 0.0
        leads: list[float] = []
        for message in audio:
            sent_ms += len(message.pcm) / 2 * 1000 / RATE
            leads.append(sent_ms - (message.at - played_from) * 1000)
        assert 200 < max(leads) <= 250.001
        assert min(leads[:-6]) > 0
        done = call.client.of("reply_done")[0]
        assert round((done.at - played_from) * 1000) == 2_000


@in_virtual_time
async def test_a_voice_slower_than_speech_is_sent_as_it_comes() -> None:
    """Nothing waits for a buffer to fill."""
    stages = FakeStages(
        speak_as=lambda request: [step for chunk in spoken(request.text) for step in (0.3, chunk)]
    )
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        await call.client.until("reply_done")
        first, last = call.client.of("audio")[0].at, call.client.of("audio")[-1].at
        assert round((last - first) * 1000) == 3 * 300
        assert call.client.pcm == audio_of("Good morning to you.")


@in_virtual_time
async def test_commit_ends_the_turn_now() -> None:
    """A client that has its own end of turn does not wait for ours."""
    async with open_call() as call:
        await call.client.speak(640)
        call.client.say("commit")
        started = asyncio.get_running_loop().time()
        assert (await call.client.until("final")).at - started < 0.001


@in_virtual_time
async def test_commit_without_speech_is_answered() -> None:
    """Nothing was said: a typed error, and the call goes on."""
    async with open_call() as call:
        call.client.say("commit")
        await call.client.until("error")
        assert call.client.errors == ["nothing_to_commit"]
        call.client.say("text", text="hi")
        await call.client.until("reply_done")


@in_virtual_time
async def test_config_takes_effect_from_the_next_reply_on() -> None:
    """Voice, language and instructions reach the stages."""
    async with open_call(query={"voice": "a", "language": "en"}) as call:
        assert (await call.client.until("ready")).fields["voice"] == "a"
        call.client.say("text", text="hi")
        await call.client.until("reply_done")
        call.client.say("config", voice="b", language="de", instructions="Be kind.")
        await call.client.turn()
        await call.client.until("reply_done", 2)
        call.client.say("config", voice="c")
        call.client.say("text", text="hi")
        await call.client.until("reply_done", 3)
    spoken = [(w.request.voice, w.request.language) for w in call.stages.of("tts")]
    assert spoken == [("a", "en"), ("b", "de"), ("c", "de")]
    assert call.stages.of("stt")[0].request.language == "de"
    assert call.stages.of("llm")[0].request.messages[0] == Message("user", "hi")
    assert call.stages.of("llm")[1].request.messages[0] == Message("system", "Be kind.")


@in_virtual_time
async def test_config_of_an_unknown_voice_changes_nothing() -> None:
    """The whole message is refused, and the call goes on as it was."""
    async with open_call(FakeStages(voices=("a",)), query={"voice": "a"}) as call:
        call.client.say("config", voice="nobody", instructions="Be rude.")
        await call.client.until("error")
        assert call.client.errors == ["invalid_request_error"]
        call.client.say("text", text="hi")
        await call.client.until("reply_done")
    assert call.stages.of("tts")[0].request.voice == "a"
    assert call.stages.of("llm")[0].request.messages == (Message("user", "hi"),)


@in_virtual_time
async def test_config_of_the_pause_that_ends_a_turn() -> None:
    """`endpoint_ms` counts from the next pause on."""
    async with open_call() as call:
        call.client.say("config", endpoint_ms=1_000)
        await call.client.speak(640)
        paused_at = asyncio.get_running_loop().time()
        await call.client.be_silent(1_100)
        stopped = await call.client.until("speech_stopped")
        assert 1.0 <= stopped.at - paused_at <= 1.032


@in_virtual_time
async def test_the_reply_can_be_opus() -> None:
    """`reply=opus`: 20 ms a packet, until the whole reply is out."""
    async with open_call(query={"reply": "opus"}) as call:
        call.client.say("text", text="hi")
        await call.client.until("reply_done")
        assert call.client.of("audio") == []
        assert 800 <= len(call.client.of("opus")) * 20 <= 840


@in_virtual_time
async def test_end_says_goodbye_properly() -> None:
    """`end` closes with 1000, after all that was to be said."""
    async with open_call() as call:
        call.client.say("end")
        await call.over()
        assert call.client.closed_with == 1000


@in_virtual_time
async def test_eight_calls_do_not_mix() -> None:
    """Each caller is answered with their own words, in their own voice."""

    def hear(asked: Asked) -> list[object]:
        caller = max(asked.pcm[:: 2 * 512])
        return [0.01 * caller, f"I am caller number {caller}"]

    stages = FakeStages(
        hear=hear, answer=lambda request: [0.05, f"Hello, {request.messages[-1].content}."]
    )
    callers = [FakeSocket() for _ in range(8)]
    calls = [start(stages, client, call_id=f"call-{n}") for n, client in enumerate(callers)]

    async def converse(number: int, client: FakeSocket) -> None:
        await asyncio.sleep(0.01 * number)
        for turn in (1, 2):
            await client.turn(640, sample=number)
            await client.until("reply_done", turn)
        client.say("end")

    await asyncio.gather(*(converse(n, client) for n, client in enumerate(callers, 1)))
    await asyncio.gather(*calls)
    for number, client in enumerate(callers, 1):
        said = f"Hello, I am caller number {number}."
        assert [m.fields["heard"] for m in client.of("reply_done")] == [said, said]
        assert client.pcm == audio_of(said, said)
        assert client.errors == []
    assert stages.running == []
