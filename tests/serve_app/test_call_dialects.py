"""Whole calls of clients that decide for themselves: other dialects, other formats, no voice."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

import pytest

from deployments.contracts import AudioChunk, Message, Tool, ToolCall
from serve_app import voice_registration
from serve_app.audio import g711
from serve_app.conversation.policy import TurnPolicy
from serve_app.dialects.realtime import RealtimeDialect
from serve_app.dialects.speak import SpeakDialect
from serve_app.dialects.transcribe import TranscribeDialect
from serve_app.errors import PeerError, StageLost, StageRefused
from tests.fakes import FakeStages, audio_of
from tests.open_call import OpenCall, open_call
from tests.serve_app.dialects.exchange import handshake
from tests.virtual_time import in_virtual_time

DISCREET = TurnPolicy(resumes=False)
MANUAL = {"audio": {"input": {"turn_detection": None}}}


def realtime() -> RealtimeDialect:
    """A session with nothing set."""
    return RealtimeDialect(handshake("/v1/realtime"))


def typed(text: str) -> dict[str, object]:
    """What a client types."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


def append(call: OpenCall, pcm: bytes) -> None:
    """The client sends audio."""
    call.client.say("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())


@in_virtual_time
async def test_push_to_talk() -> None:
    """Two seconds at once, committed, and a reply asked for before the transcript is there."""
    stages = FakeStages(finals=[[0.5, "tea or coffee"]], replies=[["Tea."]])
    async with open_call(stages, DISCREET, dialect=realtime()) as call:
        call.client.say("session.update", session=MANUAL)
        append(call, struct.pack("<h", 900) * 48_000)
        call.client.say("input_audio_buffer.commit")
        call.client.say("response.create", response={"metadata": {"n": "1"}})
        done = await call.client.until("response.done")
        assert done.fields["response"]["status"] == "completed"
        assert done.fields["response"]["metadata"] == {"n": "1"}
    [heard] = stages.of("stt")
    assert len(heard.request.pcm) // 32 in range(1_950, 2_001)
    [asked] = stages.of("llm")
    assert [message.content for message in asked.request.messages] == ["tea or coffee"]
    sound = [
        base64.b64decode(m.fields["delta"]) for m in call.client.of("response.output_audio.delta")
    ]
    assert len(b"".join(sound)) == len(audio_of("Tea.")) * 24 // 16


@in_virtual_time
async def test_a_silence_is_answered() -> None:
    """A caller who says nothing for five seconds after a reply is asked something."""
    stages = FakeStages(replies=[["Tea?"], ["Are you there?"]])
    async with open_call(stages, DISCREET, dialect=realtime()) as call:
        detection = {"type": "server_vad", "idle_timeout_ms": 5_000}
        audio = {"input": {"turn_detection": detection, "format": {"rate": 16_000}}}
        call.client.say("session.update", session={"audio": audio})
        call.client.say("response.create")
        played = await call.client.until("response.done")
        for _ in range(200):
            append(call, bytes(1_024))
            await asyncio.sleep(0.032)
        [timeout] = call.client.of("input_audio_buffer.timeout_triggered")
        assert timeout.at == pytest.approx(played.at + 5, abs=0.04)
        fields = timeout.fields
        assert 4_900 <= fields["audio_end_ms"] - fields["audio_start_ms"] <= 5_050
        assert (
            fields["item_id"] == call.client.of("input_audio_buffer.committed")[0].fields["item_id"]
        )
        done = await call.client.until("response.done", 2)
        [message] = done.fields["response"]["output"]
        assert message["content"][0]["transcript"] == "Are you there?"
    assert stages.of("stt") == []
    roles = [message.role for message in stages.of("llm")[1].request.messages]
    assert roles == ["assistant", "user"]


@in_virtual_time
async def test_a_reply_in_text_alone() -> None:
    """No voice is asked."""
    async with open_call(policy=DISCREET, dialect=realtime()) as call:
        call.client.say("response.create", response={"output_modalities": ["text"]})
        await call.client.until("response.done")
        [text] = call.client.of("response.output_text.done")
        assert text.fields["text"] == "Good morning to you."
    assert call.stages.of("tts") == []


@in_virtual_time
async def test_a_reply_that_cannot_be_made_is_refused_and_the_next_is_not() -> None:
    """The error names the client's own message."""
    stages = FakeStages(voices=("anna",))
    async with open_call(stages, DISCREET, dialect=realtime()) as call:
        wrong = {"audio": {"output": {"voice": "nobody"}}}
        call.client.say("response.create", event_id="e1", response=wrong)
        error = await call.client.until("error")
        assert error.fields["error"]["event_id"] == "e1"
        right = {"audio": {"output": {"voice": "anna"}}}
        call.client.say("response.create", response=right)
        done = await call.client.until("response.done")
        assert done.fields["response"]["status"] == "completed"
    [spoken] = stages.of("tts")
    assert spoken.request.voice == "anna"


@in_virtual_time
async def test_audio_changes_its_format_in_mid_call() -> None:
    """What follows the update is G.711, both ways."""
    async with open_call(policy=DISCREET, dialect=realtime()) as call:
        form = {"format": {"type": "audio/pcmu"}}
        update = {"audio": {"input": {**form, "turn_detection": None}, "output": form}}
        append(call, bytes(48_000))
        call.client.say("session.update", session=update)
        append(call, g711.encode("mulaw", struct.pack("<h", 900) * 8_000))
        call.client.say("input_audio_buffer.commit")
        call.client.say("response.create")
        await call.client.until("response.done")
    [heard] = call.stages.of("stt")
    assert len(heard.request.pcm) // 32 in range(1_950, 2_001)
    sound = [
        base64.b64decode(m.fields["delta"]) for m in call.client.of("response.output_audio.delta")
    ]
    assert len(b"".join(sound)) == len(audio_of("Good morning to you.")) // 4


@in_virtual_time
async def test_a_function_of_the_client() -> None:
    """Called while the first words are spoken, answered at once; the next response knows it all."""
    call_weather = ToolCall("c1", "weather", '{"place": "Oslo"}')
    stages = FakeStages(replies=[["Let me see.", call_weather], ["It rains."]])
    async with open_call(stages, DISCREET, dialect=realtime()) as call:
        say = call.client.say
        tools = [{"type": "function", "name": "weather"}]
        say("session.update", session={"tools": tools, "tool_choice": "required"})
        say("conversation.item.create", item=typed("Oslo?"))
        say("response.create")
        asked = await call.client.until("response.function_call_arguments.done")
        assert asked.fields["arguments"] == call_weather.arguments_json
        assert not call.client.of("response.done")
        output = {"type": "function_call_output", "call_id": "c1", "output": "rain"}
        say("conversation.item.create", item=output)
        say("response.create", response={"tool_choice": "none"})
        first = await call.client.until("response.done")
        message, called = first.fields["response"]["output"]
        assert first.fields["response"]["status"] == "completed"
        assert message["content"][0]["transcript"] == "Let me see."
        assert (called["name"], called["status"]) == ("weather", "completed")
        second = await call.client.until("response.done", 2)
        [message] = second.fields["response"]["output"]
        assert message["content"][0]["transcript"] == "It rains."
        assert not call.client.of("error")
    first, second = [work.request for work in stages.of("llm")]
    assert (first.tools, first.must_call) == ((Tool("weather", ""),), True)
    assert (second.tools, second.must_call) == ((), False)
    assert second.messages == (
        Message("user", "Oslo?"),
        Message("assistant", "Let me see."),
        Message("assistant", "", (call_weather,)),
        Message("tool", "rain", (), "c1"),
    )


@in_virtual_time
async def test_nobody_answers_a_transcription() -> None:
    """Words and times, and neither a model nor a voice."""
    async with open_call(dialect=TranscribeDialect()) as call:
        call.client.say("config", encoding="s16", model="fake")
        await call.client.turn(640)
        final = await call.client.until("final")
        assert final.fields["text"] == "hello there"
        assert call.client.kinds == ["speech_start", "speech_end", "final"]
        call.client.say("config", model="another")
        assert "another" in (await call.client.until("error")).fields["message"]
    assert call.stages.of("llm") == call.stages.of("tts") == []


SILENCE = [AudioChunk(bytes(640), 16_000)]
REGISTER = {
    "voice_id": "anna",
    "reference_audio": base64.b64encode(b"a recording").decode(),
}


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings are not looked at here."""

    async def read(data: bytes, *lengths: float) -> bytes:
        assert lengths == (3.0, 20.0)
        return data.upper()

    async def here(function: object, *arguments: Any) -> Any:
        assert function is voice_registration.read_recording
        return await read(*arguments)

    monkeypatch.setattr(voice_registration.asyncio, "to_thread", here)


@pytest.mark.usefixtures("readable")
@in_virtual_time
async def test_a_voice_that_is_registered_speaks_at_once() -> None:
    """What follows the recording is read when the voice is there."""
    stages = FakeStages(voices=("robot",), speak_as=lambda _: SILENCE)
    async with open_call(stages, DISCREET, dialect=SpeakDialect()) as call:
        call.client.say("register_voice", **REGISTER)
        call.client.say("synthesize", text="Hello.", voice_id="anna", streaming=False)
        await call.client.until("synthesis_complete")
        [registered] = call.client.of("voice_registered")
        assert registered.fields["voice_id"] == "anna"
        assert call.client.of("error") == []
    assert stages.registered == {"anna": b"A RECORDING"}
    [spoken] = stages.of("tts")
    assert spoken.request.voice == "anna"


@pytest.mark.usefixtures("readable")
@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (StageRefused("tts", "there is one", "voice_exists"), "voice_exists"),
        (StageLost("tts", "died"), "stage_unavailable"),
        (PeerError("recording_too_short", "1 s"), "recording_too_short"),
    ],
)
@in_virtual_time
async def test_a_voice_that_is_not_registered(raised: Exception, code: str) -> None:
    """Whatever the reason, it is told, and the call goes on."""
    stages = FakeStages(registering_raises=raised, speak_as=lambda _: SILENCE)
    async with open_call(stages, DISCREET, dialect=SpeakDialect()) as call:
        call.client.say("register_voice", **REGISTER)
        assert (await call.client.until("error")).fields["code"] == code
        call.client.say("synthesize", text="Hello.", streaming=False)
        await call.client.until("synthesis_complete")
