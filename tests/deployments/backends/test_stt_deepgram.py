"""Deepgram's live protocol, against a real WebSocket server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deployments import backends
from deployments.contracts import BackendError, BadInput, LoadFailed, Overloaded
from tests import stt_servers
from tests.stt_servers import HEARD, Seen

SECOND = bytes(32_000)


@pytest.fixture
def server() -> Iterator[tuple[dict[str, object], Seen]]:
    """A server, and the settings for it."""
    with stt_servers.running("deepgram") as running:
        yield running


def loaded(settings: dict[str, object]) -> Any:
    """The backend."""
    backend: Any = backends.create("stt", "deepgram", settings)
    assert backend.load().incremental
    return backend


def until_heard(stream: Any) -> Any:
    """Feed the stream until an answer has come: it may be late, and is not waited for."""
    while not (heard := stream.feed(bytes(320))).text:
        pass
    return heard


def feed_for_ever(stream: Any) -> None:
    """Until it raises."""
    while True:
        stream.feed(bytes(320))


def test_words_come_while_the_caller_speaks(server: tuple[dict[str, object], Seen]) -> None:
    """An interim result shows, and is replaced by what is final."""
    settings, seen = server
    stream = loaded(settings).open("en-US")
    assert until_heard(stream).text == "hello how"
    stream.feed(SECOND)
    final = stream.finish()
    stream.close()
    assert (final.text, final.language) == (HEARD, "en-US")
    assert [word.text for word in final.words] == HEARD.split()
    assert final.words[-1].end_ms == pytest.approx(seen.seconds[0] * 1000, abs=2)
    assert seen.requests[0] == {
        "model": "nova-3",
        "language": "en-US",
        "encoding": "linear16",
        "sample_rate": "16000",
        "interim_results": "true",
        "punctuate": "true",
        "endpointing": "false",
    }


def test_a_stream_that_is_given_up(server: tuple[dict[str, object], Seen]) -> None:
    """The server sees it at once."""
    settings, seen = server
    stream = loaded(settings).open(None)
    stream.feed(SECOND)
    stream.close()
    assert seen.gone.acquire(timeout=5)


def test_a_server_that_never_finishes(server: tuple[dict[str, object], Seen]) -> None:
    """Is waited for as long as the settings say."""
    settings, seen = server
    seen.silent = True
    stream = loaded({**settings, "timeout_s": 0.05}).open(None)
    stream.feed(SECOND)
    with pytest.raises(BackendError, match=r"0\.05 s"):
        stream.finish()
    stream.close()


@pytest.mark.parametrize("garbage", ["{", json.dumps({"type": "Results", "channel": {}})])
def test_a_server_that_speaks_badly(server: tuple[dict[str, object], Seen], garbage: str) -> None:
    """Is a backend's error."""
    settings, seen = server
    seen.garbage = garbage
    stream = loaded(settings).open(None)
    with pytest.raises(BackendError):
        until_heard(stream)
    stream.close()


def test_a_server_that_hangs_up(server: tuple[dict[str, object], Seen]) -> None:
    """Is a backend's error too: after `finish` the server closes, so more audio finds nobody."""
    settings, _ = server
    stream = loaded(settings).open(None)
    stream.finish()
    with pytest.raises(BackendError, match="hung up"):
        feed_for_ever(stream)
    stream.close()


@pytest.mark.parametrize(
    ("status", "error"), [(429, Overloaded), (400, BadInput), (401, BackendError)]
)
def test_what_the_server_refuses(
    server: tuple[dict[str, object], Seen], status: int, error: type[Exception]
) -> None:
    """When the connection is made."""
    settings, seen = server
    seen.status = status
    with pytest.raises(error, match=str(status)) as raised:
        loaded(settings).open(None)
    assert type(raised.value) is error


def test_no_server() -> None:
    """Is a backend's error."""
    with pytest.raises(BackendError, match="no connection"):
        loaded({"url": "ws://127.0.0.1:9/v1/listen"}).open(None)


def test_the_key(server: tuple[dict[str, object], Seen], monkeypatch: pytest.MonkeyPatch) -> None:
    """From the variable that the settings name; without one only Deepgram's server is refused."""
    settings, seen = server
    monkeypatch.setenv("MY_KEY", "secret")
    loaded({**settings, "api_key_env": "MY_KEY"}).open(None).close()
    loaded({**settings, "api_key_env": ""}).open(None).close()
    assert seen.keys == ["Token secret", None]
    monkeypatch.delenv("DEEPGRAM_API_KEY", raising=False)
    with pytest.raises(LoadFailed, match="DEEPGRAM_API_KEY"):
        loaded({})
