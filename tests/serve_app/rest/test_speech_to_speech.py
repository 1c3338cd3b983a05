"""serve_app.rest.speech_to_speech: a recording in, its answer out."""

from __future__ import annotations

import base64

import httpx
import pytest

from serve_app.errors import StageFailed
from tests.recordings import tone_wav
from tests.serve_app.rest.http_client import connected, fault, recording, seconds_of
from tests.serve_app.rest.speech_stages import RestFakes


async def test_speech_to_speech(client: httpx.AsyncClient, stages: RestFakes) -> None:
    """A body in, an mp3 out; its headers say what was heard and said, and how long it took."""
    response = await client.post("/v1/speech-to-speech", content=tone_wav(1.0, 16_000))
    assert response.headers["content-type"] == "audio/mpeg"
    assert seconds_of(response.content) == pytest.approx(0.6, abs=0.12)
    assert response.headers["x-transcript"] == "I need a rest."
    assert response.headers["x-reply"] == "Then take one."
    timings = response.headers["server-timing"].split(", ")
    assert [timing.partition(";dur=")[0] for timing in timings] == ["stt", "llm", "tts"]
    [work] = stages.fake.of("llm")
    assert [m.content for m in work.request.messages] == ["Be brief.", "I need a rest."]


async def test_speech_to_speech_by_form(stages: RestFakes) -> None:
    """With what is asked of it in fields; headers hold any text, percent-encoded, or its start."""
    stages.fake.replies = [["Schön! 100 %. " + "很" * 1_000]]
    form = {"format": "wav", "voice": "robot", "instructions": "Sing."}
    async with connected(stages) as client:
        response = await client.post("/v1/speech-to-speech", data=form, files=recording())
    assert response.headers["content-type"] == "audio/wav"
    assert response.headers["x-reply"].startswith("Sch%C3%B6n! 100 %25. %E5%BE%88")
    assert len(response.headers["x-reply"]) <= 4_000
    assert stages.fake.of("llm")[0].request.messages[0].content == "Sing."
    assert stages.fake.of("tts")[0].request.voice == "robot"


async def test_speech_to_speech_as_json(client: httpx.AsyncClient) -> None:
    """All of it in one object."""
    response = await client.post(
        "/v1/speech-to-speech?format=flac",
        content=tone_wav(1.0, 16_000),
        headers={"accept": "application/json"},
    )
    told = response.json()
    assert (told["transcript"], told["reply"]) == ("I need a rest.", "Then take one.")
    assert told["timings"].keys() == {"stt_ms", "llm_ms", "tts_ms"}
    assert told["media_type"] == "audio/flac"
    assert seconds_of(base64.b64decode(told["audio"])) == pytest.approx(0.6, abs=0.12)


async def test_nothing_was_said(stages: RestFakes) -> None:
    """Nobody is answered who said nothing."""
    stages.fake.finals = [[""]]
    async with connected(stages) as client:
        response = await client.post("/v1/speech-to-speech", content=tone_wav(1.0, 16_000))
        assert fault(response) == (400, "no_speech", "file")
        empty = await client.post("/v1/speech-to-speech", content=b"")
        assert fault(empty) == (400, "missing_field", "file")


async def test_an_answer_that_breaks_off(stages: RestFakes) -> None:
    """The connection breaks: a client never takes half an answer for a whole one."""
    stages.fake.replies = [["One two three. Four five six."]]
    scripts = [stages.fake.speak_as, lambda _: [StageFailed("tts", "gone")]]
    stages.fake.speak_as = lambda request: scripts.pop(0)(request)
    async with connected(stages) as client:
        with pytest.raises(Exception, match="stopped answering"):
            await client.post("/v1/speech-to-speech", content=tone_wav(1.0, 16_000))
    assert stages.fake.running == []
