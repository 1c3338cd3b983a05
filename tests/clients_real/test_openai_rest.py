"""openai-python's REST client, as it is installed, against the graph that `make run` starts."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator
from typing import Any

import av
import numpy as np
import openai
import pytest
from openai import AsyncOpenAI

from clients.sample_voice import speak
from tests.e2e.graph import Graph

pytestmark = pytest.mark.timeout(240)

RATE = 16_000
QUIET, LOUD = -30.0, -6.0
"""Between these is the level of speech, in dBFS."""


@pytest.fixture
async def client(embedded: Graph) -> AsyncIterator[AsyncOpenAI]:
    """The client with nothing but another base URL; what fails is not asked again."""
    url = f"http://{embedded.host}/v1"
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
        yield client


def recording(text: str) -> tuple[str, bytes]:
    """Somebody says it."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(RATE) + speak(text, RATE) + bytes(RATE))
    return "question.wav", out.getvalue()


QUESTION = recording("Do you remember me")


def level_dbfs(audio: bytes) -> float:
    """The level of a file's sound."""
    with av.open(io.BytesIO(audio)) as file:
        samples = [frame.to_ndarray().ravel() for frame in file.decode(audio=0)]
    return float(20 * np.log10(np.sqrt(np.mean(np.concatenate(samples) ** 2))))


async def test_transcriptions(client: AsyncOpenAI) -> None:
    """As JSON, with words and segments, as subtitles, and as they are heard."""
    ask: Any = client.audio.transcriptions.create
    plain = await ask(model="whisper-1", file=QUESTION, language="en")
    assert "remember" in plain.text
    assert plain.usage.seconds > 1
    detailed = await ask(
        model="whisper-1",
        file=QUESTION,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert detailed.text == plain.text
    [remember] = [word for word in detailed.words if word.word == "remember"]
    assert 0.5 < remember.start < remember.end < detailed.duration
    assert detailed.segments[0].text == plain.text
    subtitles = await ask(model="whisper-1", file=QUESTION, response_format="srt")
    assert subtitles.startswith("1\n00:00:00,")
    events = [event async for event in await ask(model="whisper-1", file=QUESTION, stream=True)]
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[-1].text == plain.text


async def test_speech(client: AsyncOpenAI) -> None:
    """Streamed, in the voice of any of OpenAI's names, and heard again."""
    pieces: list[bytes] = []
    async with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="marin", input="Do you remember me? " * 5
    ) as response:
        assert response.headers["content-type"] == "audio/mpeg"
        async for piece in response.iter_bytes():
            pieces.append(piece)
    assert len(pieces) > 1
    assert QUIET < level_dbfs(b"".join(pieces)) < LOUD
    heard = await client.audio.transcriptions.create(
        model="whisper-1", file=("said.mp3", b"".join(pieces))
    )
    assert heard.text.count("remember") >= 3


async def test_models(client: AsyncOpenAI) -> None:
    """Each is there under its name."""
    models = [model async for model in client.models.list()]
    assert [model.id for model in models] == ["pocketsphinx", "eliza", "espeak"]
    assert (await client.models.retrieve("eliza")).owned_by == "parley"


async def test_chat(client: AsyncOpenAI) -> None:
    """At once, and in pieces with their cost."""
    ask: Any = client.chat.completions.create
    messages = [{"role": "user", "content": "I need a rest"}]
    whole = await ask(model="eliza", messages=messages)
    assert whole.choices[0].message.content
    assert whole.usage.total_tokens > 0
    stream = await ask(
        model="eliza", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.completion_tokens > 0


async def test_errors(client: AsyncOpenAI) -> None:
    """Are raised as what they are."""
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(
            model="parrot", messages=[{"role": "user", "content": "x"}]
        )
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    assert unknown.value.request_id
    with pytest.raises(openai.BadRequestError) as broken:
        await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"rubbish"))
    assert broken.value.code == "audio_undecodable"
    with (
        pytest.warns(DeprecationWarning, match="deprecated"),
        pytest.raises(openai.BadRequestError) as untranslated,
    ):
        await client.audio.translations.create(model="whisper-1", file=QUESTION)
    assert untranslated.value.code == "translation_not_supported"
