"""openai-python's Realtime client, as it is installed, holds a conversation."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from clients.sample_voice import speak
from tests.clients_real.model_server import CALL, LOOKING
from tests.e2e.graph import Graph
from tests.live_microphone import LiveMicrophone

pytestmark = pytest.mark.timeout(240)

RATE = 24_000
LONG_QUESTION = "Are you sure that you are a computer and not a human being?"
TRANSCRIBED = {
    "type": "realtime",
    "audio": {"input": {"transcription": {"model": "whisper-1"}}},
}


class Microphone:
    """Sends 20 ms at a time for as long as the call lasts: speech, else silence."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self._connection = connection
        self._microphone = LiveMicrophone(RATE)

    def say(self, text: str) -> None:
        """The caller says this next."""
        self._microphone.say(speak(text, RATE))

    async def run(self) -> None:
        """Until cancelled."""
        async with contextlib.aclosing(self._microphone.frames()) as frames:
            async for pcm in frames:
                audio = base64.b64encode(pcm).decode()
                await self._connection.input_audio_buffer.append(audio=audio)


@contextlib.asynccontextmanager
async def session(graph: Graph, key: str) -> AsyncIterator[tuple[Any, Microphone]]:
    """A connection and its microphone."""
    client = AsyncOpenAI(base_url=f"http://{graph.host}/v1", api_key=key)
    async with (
        client,
        client.realtime.connect(model="parley") as connection,
        asyncio.TaskGroup() as tasks,
    ):
        await connection.session.update(session=TRANSCRIBED)  # type: ignore[arg-type]
        microphone = Microphone(connection)
        breathing = tasks.create_task(microphone.run())
        yield connection, microphone
        breathing.cancel()


async def until(connection: Any, kind: str) -> Any:
    """The next event of a type; an error is none that is waited for."""
    async with asyncio.timeout(30):
        async for event in connection:
            assert event.type != "error", event
            if event.type == kind:
                return event
    raise AssertionError(f"the connection ended before {kind}")


async def test_two_turns_and_a_barge_in(agent: Graph) -> None:
    """Spoken to, answered, interrupted, and answered again."""
    async with session(agent, "any") as (connection, microphone):
        microphone.say("Do you remember me")
        heard = await until(connection, "conversation.item.input_audio_transcription.completed")
        assert "remember" in heard.transcript
        first = await until(connection, "response.done")
        assert first.response.status == "completed"
        assert first.response.usage.total_tokens > 0

        content = [{"type": "input_text", "text": LONG_QUESTION}]
        item = {"type": "message", "role": "user", "content": content}
        await connection.conversation.item.create(item=item)
        await connection.response.create()
        spoken = await until(connection, "response.output_audio.delta")
        microphone.say("Stop it. Do you remember me")
        await until(connection, "input_audio_buffer.speech_started")
        cut = await until(connection, "response.done")
        assert (cut.response.status, cut.response.status_details.reason) == (
            "cancelled",
            "turn_detected",
        )
        await connection.conversation.item.truncate(
            item_id=spoken.item_id, content_index=0, audio_end_ms=200
        )
        await until(connection, "conversation.item.truncated")
        assert (await until(connection, "response.done")).response.status == "completed"


async def test_a_key_for_a_browser(agent: Graph) -> None:
    """It is asked for with the long one, and opens a session with its settings."""
    async with AsyncOpenAI(base_url=f"http://{agent.host}/v1", api_key="any") as client:
        secret = await client.realtime.client_secrets.create(
            session={"type": "realtime", "output_modalities": ["text"]}
        )
    async with session(agent, secret.value) as (connection, _):
        created = await until(connection, "session.updated")
        assert created.session.output_modalities == ["text"]
        content = [{"type": "input_text", "text": "Hello."}]
        item = {"type": "message", "role": "user", "content": content}
        await connection.conversation.item.create(item=item)
        await connection.response.create()
        assert (await until(connection, "response.output_text.done")).text


async def test_a_function(agent: Graph) -> None:
    """Called after the first words, answered; the next response goes on from there."""
    function = {"type": "function", "name": CALL["name"], "parameters": {"type": "object"}}
    async with session(agent, "any") as (connection, _):
        await connection.session.update(session={"type": "realtime", "tools": [function]})
        content = [{"type": "input_text", "text": "How is the weather in Oslo?"}]
        item = {"type": "message", "role": "user", "content": content}
        await connection.conversation.item.create(item=item)
        await connection.response.create()
        called = await until(connection, "response.function_call_arguments.done")
        assert (called.name, called.arguments) == (CALL["name"], CALL["arguments"])
        first = await until(connection, "response.done")
        words, call = first.response.output
        assert words.content[0].transcript == LOOKING
        assert (call.type, call.call_id, call.status) == (
            "function_call",
            called.call_id,
            "completed",
        )
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "raining"}
        await connection.conversation.item.create(item=output)
        await connection.response.create()
        done = await until(connection, "response.output_audio_transcript.done")
        assert done.transcript == "It is raining."
