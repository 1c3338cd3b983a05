"""ElevenLabs' protocol against a real HTTP server, well and badly spoken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.backends.tts_elevenlabs import ElevenLabs, _chunks, _Words
from deployments.contracts import (
    BackendError,
    BadInput,
    LoadFailed,
    Overloaded,
    SpeechRequest,
    StageInfo,
)
from tests.tts_servers import ACCOUNT, MS_PER_CHARACTER, Server, listening, query, tone

HELLO = SpeechRequest("Well, hello there!  It's 25.")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account's key."""
    monkeypatch.setenv("ELEVENLABS_API_KEY", "secret-key")


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that speaks well."""
    with listening(Server()) as server:
        yield server


@contextmanager
def voice(server: Server, **settings: Any) -> Iterator[tuple[ElevenLabs, StageInfo]]:
    """A loaded backend whose server this is; what it asked while it loaded is forgotten."""
    backend = ElevenLabs(base_url=server.url, **settings)
    info = backend.load()
    server.requests.clear()
    server.paths.clear()
    try:
        yield backend, info
    finally:
        backend.close()


def test_the_phrase_is_what_the_server_sends(server: Server) -> None:
    """All of it, as PCM of 24 kHz."""
    with voice(server) as (backend, _):
        chunks = list(backend.speak(HELLO))
    assert b"".join(chunk.pcm for chunk in chunks) == tone(HELLO.text)
    assert {chunk.rate for chunk in chunks} == {24_000}
    assert query(server.paths[0]) == {"output_format": ["pcm_24000"]}
    assert server.keys == ["secret-key"] * 2
    assert server.requests == [{"text": HELLO.text, "model_id": "eleven_flash_v2_5"}]


@pytest.mark.parametrize("cut_bytes", [9_600, 333, 100_000])
def test_each_word_has_its_time(server: Server, cut_bytes: int) -> None:
    """Where its first character is spoken, however the audio is cut."""
    server.cut_bytes = cut_bytes
    with voice(server) as (backend, _):
        words = [word for chunk in backend.speak(HELLO) for word in chunk.words]
    assert [HELLO.text[word.start : word.end] for word in words] == HELLO.text.split()
    assert [word.at_ms for word in words] == [word.start * MS_PER_CHARACTER for word in words]


def test_voices_have_names(server: Server) -> None:
    """The account's, and their ids; a request may use either."""
    with voice(server, voice="George") as (backend, info):
        assert info.voices == tuple(sorted([*ACCOUNT, *ACCOUNT.values()]))
        list(backend.speak(HELLO))
        list(backend.speak(SpeechRequest("Hi.", voice="Alice")))
        list(backend.speak(SpeechRequest("Hi.", voice=ACCOUNT["Alice"])))
    asked = [path.split("/")[3] for path in server.paths]
    assert asked == [ACCOUNT["George"], ACCOUNT["Alice"], ACCOUNT["Alice"]]


def test_a_key_that_may_not_list_voices_still_speaks(server: Server) -> None:
    """With ids, then: any may be asked for."""
    server.lists_voices = False
    with voice(server, voice="someid") as (backend, info):
        assert info.voices == ()
        assert list(backend.speak(HELLO))
    assert "/someid/" in server.paths[0]


@pytest.mark.parametrize("name", ["../user", "..", "a/b", "a?b=c", "", "nobody here", "%2e%2e"])
def test_a_voices_name_cannot_change_the_address(server: Server, name: str) -> None:
    """The operator's key goes to the one address that speaks."""
    server.lists_voices = False
    with (
        voice(server, voice="..") as (backend, _),
        pytest.raises(BadInput) as caught,
    ):
        list(backend.speak(SpeechRequest("Hi.", voice=name)))
    assert caught.value.code == "voice_not_found"
    assert server.paths == []


def test_the_manner_of_speaking_is_sent(server: Server) -> None:
    """What is set, and no more."""
    with voice(server, stability=0.4, speed=1.1) as (backend, _):
        list(backend.speak(HELLO))
    assert server.requests[0]["voice_settings"] == {"stability": 0.4, "speed": 1.1}


@pytest.mark.parametrize(
    ("model", "sent"), [("eleven_flash_v2_5", "de"), ("eleven_multilingual_v2", None)]
)
def test_the_language_is_told_to_models_that_take_it(
    server: Server, model: str, sent: str | None
) -> None:
    """The others find out by themselves, and refuse to be told."""
    with voice(server, model=model) as (backend, _):
        list(backend.speak(SpeechRequest("Hallo.", language="de_AT")))
    assert server.requests[0].get("language_code") == sent


def test_closing_the_phrase_closes_the_connection(server: Server) -> None:
    """The server sees the interruption, and the next phrase works."""
    server.endless = True
    with voice(server) as (backend, _):
        speaking = backend.speak(HELLO)
        next(speaking)
        speaking.close()
        assert server.left.wait(5)
        server.endless = False
        assert list(backend.speak(HELLO))


def told(status: str, message: str = "as told") -> dict[str, Any]:
    """An error as the server words it."""
    return {"detail": {"status": status, "message": message}}


INVALID = {"detail": [{"loc": ["body", "text"], "msg": "too long", "type": "value_error"}]}


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (400, told("max_character_limit_exceeded"), BadInput, "as told"),
        (400, told("voice_not_found"), BadInput, "no such voice"),
        (404, told("voice_not_found"), BadInput, "no such voice"),
        (422, INVALID, BadInput, "too long"),
        (429, told("too_many_concurrent_requests"), Overloaded, "as told"),
        (429, told("system_busy"), Overloaded, "as told"),
        (503, "not JSON's object", Overloaded, "no room"),
        (401, told("invalid_api_key"), BackendError, "key in ELEVENLABS_API_KEY"),
        (401, told("quota_exceeded", "0 credits left"), BackendError, "0 credits left"),
        (500, None, BackendError, "500"),
    ],
)
def test_errors_are_told_apart(
    server: Server, status: int, body: object, error: type[BackendError], words: str
) -> None:
    """What the server answers becomes the stage's own errors, in words that help."""
    with voice(server) as (backend, _):
        server.status, server.body = status, body
        with pytest.raises(error, match=words) as caught:
            list(backend.speak(HELLO))
        assert type(caught.value) is error
        server.status = 200
        assert list(backend.speak(HELLO))


def test_an_unknown_voice_has_its_code(server: Server) -> None:
    """As one that was never registered."""
    with voice(server) as (backend, _):
        server.status, server.body = 404, told("voice_not_found")
        with pytest.raises(BadInput) as caught:
            list(backend.speak(HELLO))
    assert caught.value.code == "voice_not_found"


def test_a_refused_key_does_not_load(server: Server) -> None:
    """The message names the variable, not the key."""
    server.status, server.body = 401, told("invalid_api_key")
    with pytest.raises(LoadFailed, match="ELEVENLABS_API_KEY") as caught:
        ElevenLabs(base_url=server.url).load()
    assert "secret-key" not in str(caught.value)


def test_a_missing_key_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said which variable lacks it."""
    monkeypatch.delenv("ELEVENLABS_API_KEY")
    with pytest.raises(LoadFailed, match="ELEVENLABS_API_KEY"):
        ElevenLabs().load()


def test_no_server_does_not_load() -> None:
    """The address is in the message."""
    with pytest.raises(LoadFailed, match=r"http://127\.0\.0\.1:1 does not answer"):
        ElevenLabs(base_url="http://127.0.0.1:1").load()


def test_a_server_that_breaks_off_is_an_error(server: Server) -> None:
    """What came is heard, and then it fails."""
    server.breaks = True
    with voice(server) as (backend, _):
        speaking = backend.speak(HELLO)
        assert next(speaking).pcm
        with pytest.raises(BackendError, match="broke off"):
            list(speaking)


def test_a_silent_server_times_out(server: Server) -> None:
    """In the middle of a phrase, after `timeout_s`."""
    server.stalls = True
    with (
        voice(server, timeout_s=0.2) as (backend, _),
        pytest.raises(BackendError, match="ReadTimeout"),
    ):
        list(backend.speak(HELLO))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
ALIGNMENT = st.fixed_dictionaries(
    {}, optional={"characters": JSON, "character_start_times_seconds": JSON}
)
EVENTS = JSON | st.fixed_dictionaries({}, optional={"audio_base64": JSON, "alignment": ALIGNMENT})


@given(st.lists(EVENTS.map(json.dumps) | st.text()))
def test_lines_of_any_kind_are_read_or_refused(lines: list[str]) -> None:
    """BackendError and nothing but."""
    try:
        for chunk in _chunks(HELLO.text, iter(lines)):
            assert len(chunk.pcm) % 2 == 0
    except BackendError:
        pass


@given(st.text(), st.integers(1, 9), st.booleans())
def test_any_text_has_its_words_in_order(text: str, cut: int, padded: bool) -> None:
    """Each once, whatever the text, and however its alignment is cut."""
    words = _Words(text)
    aligned = [(" ", 0.0)] * padded
    aligned += [(character, float(place)) for place, character in enumerate(text)]
    pieces = [aligned[start : start + cut] for start in range(0, len(aligned), cut)]
    spoken = [word for piece in pieces for word in words.begun(piece)]
    assert [text[word.start : word.end] for word in spoken] == text.split()
    assert [word.at_ms for word in spoken] == [word.start * 1000 for word in spoken]
