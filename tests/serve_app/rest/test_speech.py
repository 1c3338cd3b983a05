"""serve_app.rest.speech: texts to files."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from serve_app.errors import StageFailed, StageOverloaded, StageRefused, StageTimeout
from tests.serve_app.rest.http_client import SPEECH, connected, events, fault, seconds_of
from tests.serve_app.rest.speech_stages import RestFakes


@pytest.mark.parametrize(
    ("format", "media_type"),
    [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg"),
        ("aac", "audio/aac"),
        ("flac", "audio/flac"),
        ("wav", "audio/wav"),
    ],
)
async def test_speech(client: httpx.AsyncClient, format: str, media_type: str) -> None:
    """As a file of the format asked for, 200 ms a word."""
    response = await client.post("/v1/audio/speech", json={**SPEECH, "response_format": format})
    assert response.headers["content-type"] == media_type
    assert seconds_of(response.content) == pytest.approx(0.4, abs=0.12)


async def test_speech_as_pcm(client: httpx.AsyncClient, stages: RestFakes) -> None:
    """24 kHz without a header; behind every call, in the default voice for OpenAI's names."""
    response = await client.post("/v1/audio/speech", json={**SPEECH, "response_format": "pcm"})
    assert len(response.content) == pytest.approx(0.4 * 48_000, abs=200)
    [work] = stages.fake.of("tts")
    assert (work.request.urgency, work.request.voice) == ("offline", None)


async def test_speech_at_another_pace(client: httpx.AsyncClient) -> None:
    """Twice as fast is half as long."""
    body = {**SPEECH, "response_format": "wav", "speed": 2, "input": "one two three four five"}
    response = await client.post("/v1/audio/speech", json=body)
    assert seconds_of(response.content) == pytest.approx(0.5, abs=0.1)


async def test_speech_as_events(client: httpx.AsyncClient) -> None:
    """The same bytes in base64, and what was used."""
    body = {**SPEECH, "stream_format": "sse", "voice": {"id": "robot"}}
    *deltas, done, end = events(await client.post("/v1/audio/speech", json=body))
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    audio = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    assert seconds_of(audio) == pytest.approx(0.4, abs=0.12)
    assert done == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 3, "output_tokens": 8, "total_tokens": 11},
    }
    assert end is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"input": ""}, (400, "invalid_value", "input")),
        ({"input": "***"}, (400, "invalid_value", "input")),
        ({"input": "x" * 8_001}, (400, "invalid_value", "input")),
        ({"input": None}, (400, "invalid_value", "input")),
        ({"model": "parrot"}, (404, "model_not_found", "model")),
        ({"voice": "nobody"}, (400, "invalid_request_error", None)),
        ({"speed": 5}, (400, "invalid_value", "speed")),
        ({"response_format": "midi"}, (400, "invalid_value", "response_format")),
    ],
)
async def test_what_speech_refuses(
    client: httpx.AsyncClient, changes: dict[str, Any], expected: tuple[int, str, str | None]
) -> None:
    """Named by its field."""
    assert fault(await client.post("/v1/audio/speech", json={**SPEECH, **changes})) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StageTimeout("tts", "secret"), (504, "stage_timeout", None)),
        (StageOverloaded("tts", "secret"), (503, "stage_overloaded", None)),
        (StageFailed("tts", "secret"), (503, "stage_failed", None)),
        (StageRefused("tts", "no such accent"), (400, "invalid_value", None)),
    ],
)
async def test_a_voice_that_does_not_begin(
    stages: RestFakes, error: Exception, expected: tuple[int, str, None]
) -> None:
    """Is told by a status, without what the stage said but where it is meant to be read."""
    stages.fake.speak_as = lambda _: [error]
    async with connected(stages) as client:
        response = await client.post("/v1/audio/speech", json=SPEECH)
    assert fault(response) == expected
    assert "secret" not in response.text
