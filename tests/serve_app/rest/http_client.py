"""A client of the HTTP endpoints: what tests of these share."""

from __future__ import annotations

import io
import json
from typing import Any

import av
import httpx

from deployments.contracts import Transcript, Word
from serve_app.load import Load
from tests.recordings import tone_wav
from tests.serve_app.rest.speech_stages import RestFakes, application

SAID = Transcript("I need a rest.", (Word("I", 0, 100), Word("need", 200, 400)), "en")
SPEECH: dict[str, Any] = {"input": "Hello there.", "model": "tts-1", "voice": "alloy"}
CHAT: dict[str, Any] = {"model": "writer", "messages": [{"role": "user", "content": "Hi"}]}


def connected(stages: RestFakes, load: Load | None = None, **settings: Any) -> httpx.AsyncClient:
    """A client of endpoints with settings of their own."""
    # An answer that breaks off raises where it is made; here as at a client, which sees it break.
    transport = httpx.ASGITransport(
        application(stages, load, **settings), raise_app_exceptions=True
    )
    return httpx.AsyncClient(transport=transport, base_url="http://parley")


def recording(seconds: float = 1.0) -> dict[str, tuple[str, bytes]]:
    """A form's file."""
    return {"file": ("me.wav", tone_wav(seconds, 16_000))}


async def transcribe(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    """Send a recording."""
    return await client.post(
        "/v1/audio/transcriptions", data={"model": "whisper-1", **fields}, files=recording()
    )


def fault(response: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and param of an error in OpenAI's shape."""
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert response.status_code not in (429, 503) or response.headers["retry-after"]
    return response.status_code, error["code"], error["param"]


def events(response: httpx.Response) -> list[Any]:
    """The events of a stream; what ends it is None."""
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    return [None if line == "data: [DONE]" else json.loads(line[6:]) for line in lines]


def seconds_of(audio: bytes) -> float:
    """The length of a file that was made."""
    with av.open(io.BytesIO(audio)) as file:
        return sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
