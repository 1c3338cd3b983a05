"""OpenAI's speech protocol against a real HTTP server, well and badly spoken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deployments import backends
from deployments.backends.tts_openai import OpenAISpeech
from deployments.contracts import BackendError, BadInput, LoadFailed, Overloaded, SpeechRequest
from tests.tts_servers import Server, listening, tone

HELLO = SpeechRequest("Hello there.")


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that speaks well."""
    with listening(Server()) as server:
        yield server


@contextmanager
def voice(server: Server, **settings: Any) -> Iterator[OpenAISpeech]:
    """A loaded backend whose server this is."""
    backend = OpenAISpeech(base_url=f"{server.url}/v1", **settings)
    backend.load()
    try:
        yield backend
    finally:
        backend.close()


def test_the_phrase_is_what_the_server_sends(server: Server) -> None:
    """All of it, as PCM of 24 kHz; the request carries the settings."""
    with voice(server, model="m", voice="v", instructions="Softly.") as backend:
        chunks = list(backend.speak(HELLO))
    assert b"".join(chunk.pcm for chunk in chunks) == tone(HELLO.text)
    assert {chunk.rate for chunk in chunks} == {24_000}
    assert server.requests == [
        {
            "model": "m",
            "voice": "v",
            "input": "Hello there.",
            "instructions": "Softly.",
            "response_format": "pcm",
        }
    ]
    assert server.paths == ["/v1/audio/speech"]


def test_a_calls_own_voice_is_asked_for(server: Server) -> None:
    """Whatever its name; without instructions none are sent."""
    with voice(server) as backend:
        list(backend.speak(SpeechRequest("Hello.", voice="anna")))
    assert server.requests[0]["voice"] == "anna"
    assert "instructions" not in server.requests[0]


def test_samples_are_whole_however_they_are_sent(server: Server) -> None:
    """Odd pieces are joined before they are passed on."""
    server.cut_bytes = 333
    with voice(server) as backend:
        chunks = list(backend.speak(HELLO))
    assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)
    assert b"".join(chunk.pcm for chunk in chunks) == tone(HELLO.text)


def test_closing_the_phrase_closes_the_connection(server: Server) -> None:
    """The server sees the interruption, and the next phrase works."""
    server.endless = True
    with voice(server) as backend:
        speaking = backend.speak(HELLO)
        next(speaking)
        speaking.close()
        assert server.left.wait(5)
        server.endless = False
        assert list(backend.speak(HELLO))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadInput),
        (404, BadInput),
        (422, BadInput),
        (429, Overloaded),
        (503, Overloaded),
        (401, BackendError),
        (500, BackendError),
    ],
)
def test_errors_are_told_apart(server: Server, status: int, error: type[BackendError]) -> None:
    """What the server answers becomes the stage's own errors, asked just once."""
    server.status = status
    with voice(server) as backend, pytest.raises(error) as caught:
        list(backend.speak(HELLO))
    assert type(caught.value) is error
    assert len(server.requests) == 1


def test_a_refused_key_says_what_to_change(server: Server) -> None:
    """The variable's name, not the key."""
    server.status = 401
    with (
        voice(server, api_key_env="MY_KEY") as backend,
        pytest.raises(BackendError, match="set MY_KEY"),
    ):
        list(backend.speak(HELLO))


def test_a_server_that_breaks_off_is_an_error(server: Server) -> None:
    """What came is heard, and then it fails."""
    server.breaks = True
    with voice(server) as backend:
        speaking = backend.speak(HELLO)
        assert next(speaking).pcm
        with pytest.raises(BackendError, match="broke off"):
            list(speaking)


def test_a_silent_server_times_out(server: Server) -> None:
    """In the middle of a phrase, after `timeout_s`."""
    server.stalls = True
    with voice(server, timeout_s=0.2) as backend, pytest.raises(BackendError):
        list(backend.speak(HELLO))


def test_no_server_is_an_error() -> None:
    """A refused connection is a failure of the stage, not of the request."""
    with voice(Server(url="http://127.0.0.1:1")) as backend, pytest.raises(BackendError) as caught:
        list(backend.speak(HELLO))
    assert type(caught.value) is BackendError


def test_a_server_that_sends_files_is_an_error(server: Server) -> None:
    """A wav header would be heard as a click, and its rate as a wrong pitch."""
    server.begins_with = b"RIFF\0\0\0\0WAVE"
    with voice(server) as backend, pytest.raises(BackendError, match="wav"):
        list(backend.speak(HELLO))


def test_the_key_comes_from_the_variable_that_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And from no other; an empty name sends none."""
    monkeypatch.setenv("MY_KEY", "secret-key")
    monkeypatch.setenv("OPENAI_API_KEY", "another-key")
    for name in ("MY_KEY", ""):
        with voice(server, api_key_env=name) as backend:
            list(backend.speak(HELLO))
    assert server.keys == ["Bearer secret-key", "Bearer none"]


def test_no_key_for_openai_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's own server wants a key: the message names the variable."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(LoadFailed, match="NO_SUCH_KEY"):
        OpenAISpeech(api_key_env="NO_SUCH_KEY").load()


def test_presets_name_models() -> None:
    """As users of such servers expect."""
    assert backends.choose("tts", "espeak", {}, "gpt-4o-mini-tts") == (
        "openai",
        {"model": "gpt-4o-mini-tts"},
    )
    assert backends.choose("tts", "espeak", {"wpm": 1}, "openai") == ("openai", {})
