"""Which pages may call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.access.origins import Origins, canonical
from serve_app.errors import PeerError

LISTED = ("https://app.example.org",)


def passes(
    origin: str | None, host: str = "127.0.0.1:8000", *, keys: bool = False, public: str = ""
) -> bool:
    """Whether a page may call a server that is reached at `host`."""
    origins = Origins(LISTED, public or None, any_own_name=keys)
    headers = {"host": host} if origin is None else {"host": host, "origin": origin}
    try:
        origins.check(headers)
    except PeerError as refused:
        told = (refused.code, refused.status)
    else:
        return True
    assert told == ("origin_not_allowed", 403)
    return False


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "anything"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://localhost:8000", "localhost:8000"),
        ("https://localhost:8000", "localhost:8000"),
        ("http://parley.localhost", "parley.localhost"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://192.168.1.7", "192.168.1.7"),
        ("https://192.168.1.7", "192.168.1.7:443"),
        ("http://192.168.1.7:80", "192.168.1.7"),
        ("https://app.example.org", "127.0.0.1:8000"),
    ],
)
def test_who_is_no_page_our_own_and_the_listed_may(origin: str | None, host: str) -> None:
    """With keys or without."""
    assert passes(origin, host)
    assert passes(origin, host, keys=True)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1:8001",
        "http://127.0.0.1",
        "http://localhost:8000",
        "http://127.0.0.1:8000@evil.example",
        "http://evil.example#127.0.0.1:8000",
        "http://127.0.0.1:8000.evil.example",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org.evil.example",
        "https://xapp.example.org",
        "https://app.example.org.",
        "https://APP.example.org/",
        "file://",
        "chrome-extension://abc",
        "http://[::1]:8000",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:8000, http://127.0.0.1:8000",
    ],
)
def test_other_pages_may_not(origin: str) -> None:
    """Another host or port is another page; what scheme is spoken before a proxy, nobody knows."""
    assert not passes(origin)
    assert not passes(origin, keys=True)


def test_a_name_that_points_here_is_not_ours() -> None:
    """DNS rebinding: without keys nothing else would keep such a page out."""
    assert not passes("http://evil.example:8000", "evil.example:8000")
    assert passes("http://voice.example:8000", "voice.example:8000", keys=True)


def test_the_public_origin_is_ours() -> None:
    """Behind a proxy that names another host."""
    assert passes("https://voice.example", "10.0.0.7:8000", public="https://voice.example/")
    assert not passes("https://voice.example.org", "10.0.0.7", public="https://voice.example")


@pytest.mark.parametrize("host", ["", "127.0.0.1:8000 ", "[::1", "[", "a b", "127.0.0.1:x"])
def test_a_strange_host_is_nobody(host: str) -> None:
    """And no error."""
    assert not passes("http://evil.example", host)


@pytest.mark.parametrize(
    ("written", "is_"),
    [
        ("https://App.Example.org/", "https://app.example.org"),
        ("https://a.b:443", "https://a.b"),
        ("http://a.b:080", "http://a.b"),
        ("http://a.b:8080", "http://a.b:8080"),
    ],
)
def test_origins_have_one_writing(written: str, is_: str) -> None:
    """That of browsers."""
    assert canonical(written) == is_


@pytest.mark.parametrize("text", ["*", "null", "a.b", "https://a.b/c", "ws://a.b", "https://a:0"])
def test_what_is_no_origin_cannot_be_listed(text: str) -> None:
    """Nor can everything."""
    with pytest.raises(ValueError):
        canonical(text)


@given(st.text(), st.text(), st.booleans())
def test_any_header_is_judged(origin: str, host: str, keys: bool) -> None:
    """By the typed error alone."""
    passes(origin, host, keys=keys)
