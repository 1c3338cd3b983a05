"""Clients of other protocols hold a conversation with the graph that `make run` starts."""

from __future__ import annotations

import base64
import json
import math
import urllib.error
import urllib.request
from typing import Any

import pytest
from websockets.asyncio.client import connect

from clients.sample_voice import speak
from serve_app.audio import g711
from serve_app.dialects.realtime_items import AGENT_MS_A_TOKEN
from tests.e2e.graph import Graph
from tests.e2e.json_caller import JsonCaller, json_call

pytestmark = pytest.mark.timeout(240)

LONG_QUESTION = "Are you sure that you are a computer and not a human being?"
RATE = 24_000
TELEPHONE = 8_000


@pytest.fixture(scope="module")
def front_door() -> str:
    """One is enough: tests/e2e/test_conversation.py compares them."""
    return "fast"


def _append(pcm: bytes) -> dict[str, Any]:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}


def _sent_bytes(caller: JsonCaller) -> int:
    deltas = (told for told in caller.heard if told["type"] == "response.output_audio.delta")
    return sum(len(base64.b64decode(told["delta"])) for told in deltas)


def _media(pcm: bytes) -> dict[str, Any]:
    payload = base64.b64encode(g711.encode("mulaw", pcm)).decode()
    return {"event": "media", "streamSid": "MZ1", "media": {"track": "inbound", "payload": payload}}


_START = {
    "event": "start",
    "streamSid": "MZ1",
    "start": {
        "streamSid": "MZ1",
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": TELEPHONE, "channels": 1},
    },
}


async def test_realtime_two_turns_and_a_barge_in(embedded: Graph) -> None:
    """Spoken, answered, spoken over: the events come in the protocol's order."""
    url = f"ws://{embedded.host}/v1/realtime?model=parley"
    transcription = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    options = {"additional_headers": {"Authorization": "Bearer x"}, "subprotocols": ["realtime"]}
    async with json_call(url, RATE, _append, **options) as caller:
        await caller.until_a("conversation.created")
        await caller.send(type="session.update", session={"type": "realtime", **transcription})
        await caller.until_a("session.updated")
        caller.speak(speak("Do you remember me", RATE))
        first = await caller.until_a("response.done")
        await caller.until_a("rate_limits.updated")
        assert first["response"]["status"] == "completed"
        assert _order(caller)[3:] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        sent_ms = _sent_bytes(caller) * 1000 / (2 * RATE)
        tokens = first["response"]["usage"]["output_token_details"]["audio_tokens"]
        assert tokens == math.ceil(sent_ms / AGENT_MS_A_TOKEN) > 0

        content = [{"type": "input_text", "text": LONG_QUESTION}]
        item = {"type": "message", "role": "user", "content": content}
        await caller.send(type="conversation.item.create", item=item)
        await caller.send(type="response.create", response={"metadata": {"turn": "two"}})
        spoken = await caller.until_a("response.output_audio.delta")
        caller.speak(speak("Stop it. Do you remember me", RATE))
        await caller.until_a("input_audio_buffer.speech_started")
        cut = await caller.until_a("response.done")
        assert cut["response"]["metadata"] == {"turn": "two"}
        assert cut["response"]["status_details"]["reason"] == "turn_detected"
        where = {"item_id": spoken["item_id"], "content_index": 0, "audio_end_ms": 300}
        await caller.send(type="conversation.item.truncate", **where)
        await caller.until_a("conversation.item.truncated")
        last = await caller.until_a("response.done")
        assert last["response"]["status"] == "completed"
        assert not [fields for fields in caller.heard if fields["type"] == "error"]


def _order(caller: JsonCaller) -> list[str]:
    """The kinds of messages, by their first."""
    return list(dict.fromkeys(fields["type"] for fields in caller.heard))


async def test_twilio_two_turns_and_a_barge_in(embedded: Graph) -> None:
    """A telephone is answered, told to drop what it has, and answered again."""
    async with json_call(
        f"ws://{embedded.host}/twilio", TELEPHONE, _media, {"event": "connected"}, _START
    ) as caller:
        caller.speak(speak("Are you a computer", TELEPHONE))
        mark = await caller.until(lambda fields: fields["event"] == "mark")
        await caller.send(event="mark", streamSid="MZ1", mark=mark["mark"])
        caller.speak(speak("Stop it. Do you remember me", TELEPHONE))
        await caller.until(lambda fields: fields["event"] == "clear")
        after = await caller.until(
            lambda fields: (
                fields["event"] == "mark"
                and fields["mark"]["name"].split("@")[0] != mark["mark"]["name"].split("@")[0]
            )
        )
        assert after["streamSid"] == "MZ1"
    sound = [fields for fields in caller.heard if fields["event"] == "media"]
    pcm = g711.decode(
        "mulaw", b"".join(base64.b64decode(fields["media"]["payload"]) for fields in sound)
    )
    assert max(pcm) > 0


async def test_the_stages_stand_alone(embedded: Graph) -> None:
    """Text becomes speech on one socket, and that speech text on the other."""
    async with connect(f"ws://{embedded.host}/v1/tts") as socket:
        await socket.send('{"type": "config", "encoding": "s16"}')
        await socket.send('{"type": "synthesize", "text": "Do you remember me?"}')
        pcm = b""
        async for message in socket:
            if isinstance(message, bytes):
                pcm += message
            elif json.loads(message)["type"] == "synthesis_complete":
                break
    async with connect(f"ws://{embedded.host}/v1/asr") as socket:
        config = {"type": "config", "encoding": "s16", "sample_rate": RATE, "model": "pocketsphinx"}
        await socket.send(json.dumps(config))
        for at in range(0, len(pcm), RATE):
            await socket.send(pcm[at : at + RATE])
        await socket.send(bytes(RATE * 2))
        kinds: list[str] = []
        async for message in socket:
            fields = json.loads(message)
            kinds.append(fields["type"])
            if fields["type"] == "final":
                break
    assert list(dict.fromkeys(kinds)) in (
        ["speech_start", "partial", "speech_end", "final"],
        ["speech_start", "speech_end", "final"],
    )
    assert "remember" in fields["text"]


def test_a_call_to_a_number_is_connected_here(embedded: Graph) -> None:
    """Twilio asks what to do with it, and is given the stream's address."""
    request = urllib.request.Request(f"http://{embedded.host}/twilio/answer", b"CallSid=CA1")
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["content-type"].startswith("application/xml")
        assert f'<Stream url="wss://{embedded.host}/twilio"/>' in answer.read().decode()


def test_a_request_that_is_too_big_is_refused(embedded: Graph) -> None:
    """Before all of it was read."""
    request = urllib.request.Request(f"http://{embedded.host}/twilio/answer", bytes(100_000))
    with pytest.raises(urllib.error.HTTPError, match="413") as caught:
        urllib.request.urlopen(request)
    caught.value.close()
