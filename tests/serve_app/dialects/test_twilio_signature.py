"""Twilio's signature, by the example of its documentation."""

from __future__ import annotations

import pytest

from serve_app.dialects import twilio_signature
from serve_app.dialects.routes import Handshake, Keys, Post
from serve_app.dialects.twilio import ANSWER, ROUTE
from serve_app.errors import PeerError
from tests.serve_app.dialects.exchange import handshake

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = [
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
]
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
KEYS = Keys(b"s", TOKEN, "https://voice.example.org")


def test_the_documented_example() -> None:
    """Its token, its address, its form and its signature."""
    assert twilio_signature.sign(TOKEN, URL, FORM) == SIGNATURE
    assert twilio_signature.sign(TOKEN, URL, FORM[::-1]) == SIGNATURE


@pytest.mark.parametrize(
    ("token", "url", "form"),
    [
        ("12346", URL, FORM),
        (TOKEN, URL + "3", FORM),
        (TOKEN, URL, FORM[1:]),
        (TOKEN, URL, [*FORM, ("Extra", "1")]),
    ],
)
def test_nothing_may_be_changed(token: str, url: str, form: list[tuple[str, str]]) -> None:
    """Neither the token nor the address nor the form."""
    with pytest.raises(PeerError) as caught:
        twilio_signature.check(token, {"x-twilio-signature": SIGNATURE}, url, form)
    assert caught.value.status == 403


@pytest.mark.parametrize("shown", [{}, {"x-twilio-signature": "é"}])
def test_a_request_without_a_signature_is_refused(shown: dict[str, str]) -> None:
    """Or with one that is none."""
    with pytest.raises(PeerError):
        twilio_signature.check(TOKEN, shown, URL, FORM)


def stream(signature: str) -> Handshake:
    """Twilio connects a stream."""
    return handshake("/twilio", headers={"x-twilio-signature": signature, "host": "inside:8000"})


def test_a_stream_is_signed_for_the_public_address() -> None:
    """Not for the one that a proxy in front calls."""
    ROUTE.check(stream(twilio_signature.sign(TOKEN, "wss://voice.example.org/twilio")), KEYS)
    with pytest.raises(PeerError):
        ROUTE.check(stream(twilio_signature.sign(TOKEN, "wss://inside:8000/twilio")), KEYS)


def test_the_answer_is_for_signed_calls() -> None:
    """Signed with the form, decoded."""
    path = "/twilio/answer?line=1"
    form = [("CallSid", "CA1"), ("From", "+1 555")]
    signed = twilio_signature.sign(TOKEN, f"https://voice.example.org{path}", form)
    headers = {"x-twilio-signature": signed}
    page = ANSWER.answer(Post(path, headers, b"CallSid=CA1&From=%2B1+555", 0), KEYS)
    assert b'url="wss://voice.example.org/twilio"' in page.body
    with pytest.raises(PeerError):
        ANSWER.answer(Post(path, headers, b"CallSid=CA2&From=%2B1+555", 0), KEYS)


def test_without_a_token_nobody_is_asked() -> None:
    """The operator chose so."""
    ROUTE.check(stream("no"), Keys(b"s"))
    page = ANSWER.answer(Post("/twilio/answer", {"host": 'a"&b'}, b"", 0), Keys(b"s"))
    assert b"<Stream url='wss://a\"&amp;b/twilio'/>" in page.body
