"""serve_app.rest.transcriptions and translations: recordings to text."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from deployments.contracts import StageInfo
from serve_app.errors import StageTimeout
from tests.serve_app.rest.http_client import connected, events, fault, recording, transcribe
from tests.serve_app.rest.speech_stages import RestFakes


async def test_transcriptions_as_json(client: httpx.AsyncClient) -> None:
    """The text, and how long the recording is."""
    response = await transcribe(client)
    usage = {"type": "duration", "seconds": 1.0}
    assert response.json() == {"text": "I need a rest.", "usage": usage}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("text", "I need a rest.\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:00,400\nI need a rest.\n\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:00.400\nI need a rest.\n\n"),
    ],
)
async def test_transcriptions_as_text(client: httpx.AsyncClient, form: str, text: str) -> None:
    """Plain text of each form."""
    response = await transcribe(client, response_format=form)
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == text


async def test_transcriptions_with_words(client: httpx.AsyncClient) -> None:
    """Several granularities come as several fields."""
    fields = {"timestamp_granularities[]": ["word", "segment"], "response_format": "verbose_json"}
    told = (await transcribe(client, **fields)).json()
    assert [word["word"] for word in told["words"]] == ["I", "need"]
    assert told["segments"][0]["text"] == "I need a rest."
    assert (told["language"], told["task"]) == ("en", "transcribe")


async def test_transcriptions_as_they_are_heard(stages: RestFakes) -> None:
    """A delta a window, the whole text, the end."""
    stages.fake.finals = [["One"], ["two."]]
    async with connected(stages) as client:
        response = await client.post(
            "/v1/audio/transcriptions",
            data={"model": "small", "stream": "true"},
            files=recording(30.0),
        )
    *deltas, done, end = events(response)
    assert [delta["delta"] for delta in deltas] == ["One", " two."]
    assert {delta["type"] for delta in deltas} == {"transcript.text.delta"}
    assert (done["type"], done["text"]) == ("transcript.text.done", "One two.")
    assert done["usage"]["total_tokens"] > 300
    assert end is None


async def test_a_stream_that_fails_says_so(stages: RestFakes) -> None:
    """After what was heard; no end follows."""
    stages.fake.finals = [["One"], [StageTimeout("stt", "hung")]]
    async with connected(stages) as client:
        response = await client.post(
            "/v1/audio/transcriptions",
            data={"model": "small", "stream": "true"},
            files=recording(30.0),
        )
    delta, error = events(response)
    assert delta["delta"] == "One"
    assert error["error"]["code"] == "stage_timeout"


async def test_the_language_reaches_the_recogniser(
    client: httpx.AsyncClient, stages: RestFakes
) -> None:
    """A tag of any form."""
    await transcribe(client, language="de-AT", prompt="About rest.", temperature="0")
    assert stages.fake.of("stt")[0].request.language == "de-AT"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": ""}, (400, "missing_field", "model")),
        ({"model": "parrot"}, (404, "model_not_found", "model")),
        ({"language": "fr"}, (400, "invalid_value", "language")),
        ({"response_format": "xml"}, (400, "invalid_value", "response_format")),
        ({"stream": "maybe"}, (400, "invalid_value", "stream")),
        ({"stream": "true", "response_format": "srt"}, (400, "invalid_value", "stream")),
        (
            {"timestamp_granularities[]": "word"},
            (400, "invalid_value", "timestamp_granularities"),
        ),
    ],
)
async def test_what_a_transcription_refuses(
    client: httpx.AsyncClient, fields: dict[str, str], expected: tuple[int, str, str]
) -> None:
    """Named by its field."""
    assert fault(await transcribe(client, **fields)) == expected


async def test_what_is_no_recording(client: httpx.AsyncClient) -> None:
    """By its field too."""
    response = await client.post(
        "/v1/audio/transcriptions", data={"model": "whisper-1"}, files={"file": b"rubbish"}
    )
    assert fault(response) == (400, "audio_undecodable", "file")


async def translate(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    """Ask for a second of sound in English."""
    form = {"model": "whisper-1", **fields}
    return await client.post("/v1/audio/translations", data=form, files=recording())


async def test_a_translation(stages: RestFakes) -> None:
    """Asked of the recogniser as one, in whatever language that finds; not the configured one."""
    async with connected(stages, language="de") as client:
        response = await translate(client)
    assert response.json()["text"] == "I need a rest."
    [heard] = stages.fake.of("stt")
    assert (heard.request.task, heard.request.language) == ("translate", None)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("text", "I need a rest.\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:00,400\nI need a rest.\n\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:00.400\nI need a rest.\n\n"),
    ],
)
async def test_translations_as_text(client: httpx.AsyncClient, form: str, text: str) -> None:
    """In the forms that transcriptions have."""
    assert (await translate(client, response_format=form)).text == text


async def test_a_translation_in_detail(client: httpx.AsyncClient) -> None:
    """It says what it is; there are no words, which are not asked for."""
    told = (await translate(client, response_format="verbose_json")).json()
    assert (told["task"], told["language"]) == ("translate", "en")
    assert "words" not in told


async def test_a_transcription_is_asked_for_as_one(
    client: httpx.AsyncClient, stages: RestFakes
) -> None:
    """Of a recogniser that translates too."""
    await transcribe(client)
    assert stages.fake.of("stt")[0].request.task == "transcribe"


async def test_who_does_not_translate_refuses(client: httpx.AsyncClient, stages: RestFakes) -> None:
    """By its name, and nothing is heard."""
    stages.info["stt"] = StageInfo("listener", details={"model": "small.en"})
    response = await translate(client)
    assert fault(response) == (400, "translation_not_supported", None)
    assert "small.en" in response.json()["error"]["message"]
    assert stages.fake.of("stt") == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "parrot"}, (404, "model_not_found", "model")),
        ({"response_format": "xml"}, (400, "invalid_value", "response_format")),
    ],
)
async def test_what_a_translation_refuses(
    client: httpx.AsyncClient, fields: dict[str, str], expected: tuple[int, str, str]
) -> None:
    """Named by its field."""
    assert fault(await translate(client, **fields)) == expected


async def test_recordings_are_heard_one_window_at_a_time(stages: RestFakes) -> None:
    """What a caller says waits behind one at most."""
    heard_at_once: list[int] = []

    def hear(_: Any) -> list[object]:
        heard_at_once.append(len(stages.fake.running))
        return [0.01, "yes"]

    stages.fake.hear = hear
    async with connected(stages) as client:
        await asyncio.gather(*(transcribe(client) for _ in range(4)))
    assert heard_at_once == [0] * 4
