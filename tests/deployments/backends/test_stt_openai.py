"""The OpenAI transcription protocol, against a real HTTP server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deployments import backends
from deployments.contracts import BackendError, BadInput, LoadFailed, Overloaded, SpeechWindow
from tests import stt_servers
from tests.stt_servers import HEARD, TRANSLATED, Seen

TWO_S = bytes(64_000)


@pytest.fixture
def server() -> Iterator[tuple[dict[str, object], Seen]]:
    """A server, and the settings for it."""
    with stt_servers.running("openai") as running:
        yield running


@contextmanager
def loaded(settings: dict[str, object]) -> Iterator[Any]:
    """The backend, closed afterwards."""
    backend: Any = backends.create("stt", "openai", settings)
    backend.load()
    yield backend
    backend.close()


def hear(settings: dict[str, object], window: SpeechWindow) -> Any:
    """A window's transcript."""
    with loaded(settings) as backend:
        return backend.transcribe([window])[0]


def test_a_final_has_words(server: tuple[dict[str, object], Seen]) -> None:
    """Asked for in detail; the audio arrives whole, as WAV."""
    settings, seen = server
    heard = hear(settings, SpeechWindow(TWO_S, final=True, language="en-US"))
    assert (heard.text, heard.language) == (HEARD, "en")
    assert [word.text for word in heard.words] == HEARD.split()
    assert (heard.words[1].start_ms, heard.words[1].end_ms) == (400, 800)
    assert seen.seconds == [2.0]
    [request] = seen.requests
    assert request["path"] == "/v1/audio/transcriptions"
    assert request["model"] == "whisper-1"
    assert request["language"] == "en"
    assert request["response_format"] == "verbose_json"


def test_a_partial_has_none(server: tuple[dict[str, object], Seen]) -> None:
    """Nor a language where nobody named one."""
    settings, seen = server
    heard = hear(settings, SpeechWindow(TWO_S, final=False))
    assert (heard.text, heard.words, heard.language) == (HEARD, (), None)
    assert seen.requests[0].keys().isdisjoint({"response_format", "language"})


def test_models_without_word_times(server: tuple[dict[str, object], Seen]) -> None:
    """Finals are asked for as partials are."""
    settings, seen = server
    asked = {**settings, "word_times": False, "model": "gpt-4o-transcribe"}
    assert hear(asked, SpeechWindow(TWO_S, final=True)).words == ()
    assert "response_format" not in seen.requests[0]


def test_what_the_server_doubts_is_left_out(server: tuple[dict[str, object], Seen]) -> None:
    """A segment that it takes for silence, and that segment's words."""
    settings, seen = server
    seen.doubtful = True
    heard = hear(settings, SpeechWindow(TWO_S, final=True))
    assert heard.text == HEARD
    assert [word.text for word in heard.words] == HEARD.split()


def test_a_translation(server: tuple[dict[str, object], Seen]) -> None:
    """Has its own address, and no language: the server finds that."""
    settings, seen = server
    seen.doubtful = True
    window = SpeechWindow(TWO_S, final=True, language="de", task="translate")
    heard = hear(settings, window)
    assert (heard.text, heard.words, heard.language) == (TRANSLATED, (), "en")
    [request] = seen.requests
    assert request["path"] == "/v1/audio/translations"
    assert "language" not in request


@pytest.mark.parametrize(
    ("model", "translates"),
    [
        ("whisper-1", True),
        ("Systran/faster-whisper-small", True),
        ("Systran/faster-whisper-small.en", False),
        ("whisper-large-v3-turbo", False),
        ("gpt-4o-transcribe", False),
    ],
)
def test_which_models_translate(
    server: tuple[dict[str, object], Seen], model: str, translates: bool
) -> None:
    """Told by their names, as no server says."""
    backend = backends.create("stt", "openai", {**server[0], "model": model, "api_key_env": ""})
    assert backend.load().translates is translates
    backend.close()


def test_hardly_any_audio_is_not_sent(server: tuple[dict[str, object], Seen]) -> None:
    """Servers refuse it, or make words up."""
    settings, seen = server
    assert hear(settings, SpeechWindow(bytes(3000), final=True)).text == ""
    assert seen.requests == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, Overloaded), (503, Overloaded), (400, BadInput), (500, BackendError)],
)
def test_what_the_server_refuses(
    server: tuple[dict[str, object], Seen], status: int, error: type[Exception]
) -> None:
    """Asked once: whether to ask again is not decided here."""
    settings, seen = server
    seen.status = status
    with pytest.raises(error) as raised:
        hear(settings, SpeechWindow(TWO_S, final=True))
    assert type(raised.value) is error
    assert len(seen.requests) == 1


def test_no_server() -> None:
    """Is a backend's error."""
    with pytest.raises(BackendError, match="failed"):
        hear({"base_url": "http://127.0.0.1:9/v1"}, SpeechWindow(TWO_S, final=True))


def test_the_key(server: tuple[dict[str, object], Seen], monkeypatch: pytest.MonkeyPatch) -> None:
    """From the variable that the settings name; without one only OpenAI's own server is refused."""
    settings, seen = server
    monkeypatch.setenv("MY_KEY", "secret")
    hear({**settings, "api_key_env": "MY_KEY"}, SpeechWindow(TWO_S, final=True))
    hear({**settings, "api_key_env": ""}, SpeechWindow(TWO_S, final=True))
    assert seen.keys == ["Bearer secret", "Bearer none"]
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(LoadFailed, match="OPENAI_API_KEY"):
        backends.create("stt", "openai", {}).load()


def test_groq_is_a_preset() -> None:
    """With its own address and key."""
    name, settings = backends.choose("stt", "timed", {}, "groq")
    assert name == "openai"
    assert settings["api_key_env"] == "GROQ_API_KEY"
    assert "groq.com" in str(settings["base_url"])
