"""What holds of every dialect: recorded exchanges, and no input that breaks one."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.conversation.announcements import Announcement
from serve_app.conversation.events import ClientEvent
from serve_app.dialects import Answer, Dialect
from serve_app.dialects.registry import POSTS, ROUTES
from serve_app.dialects.routes import Route
from serve_app.errors import PeerError
from tests.serve_app.dialects.announced import announcements
from tests.serve_app.dialects.exchange import (
    TRANSCRIPTS,
    handshake,
    matches,
    opened,
    outcome,
    steps,
    turns,
)

every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
_RECORDED = sorted(TRANSCRIPTS.glob("*.jsonl"))

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


def _examples(path: str) -> list[Any]:
    """What clients say in the transcripts of a path."""
    recorded = [steps(transcript) for transcript in _RECORDED]
    return [
        step["client"]
        for first, *rest in recorded
        if first["open"]["path"] == path
        for step in rest
        if "client" in step
    ]


@functools.cache
def _mutated(path: str) -> st.SearchStrategy[str]:
    """A message as a client sends it, but for one field, however deep."""
    said = st.sampled_from([message for message in _examples(path) if isinstance(message, dict)])
    return st.builds(_replaced, said, st.integers(0, 200), _json).map(json.dumps)


def _replaced(value: Any, at: int, new: Any) -> Any:
    if not isinstance(value, dict) or not value or at == 0:
        return new
    key = list(value)[at % len(value)]
    return {**value, key: _replaced(value[key], at // 3, new)}


@pytest.mark.parametrize("transcript", _RECORDED, ids=lambda path: path.stem)
def test_recorded_exchanges(transcript: Path) -> None:
    """Each message has the answers that the protocol gives it, and no other."""
    dialect = opened(steps(transcript)[0])
    for number, (cause, expected) in enumerate(turns(transcript), start=1):
        happened = outcome(dialect, cause)
        assert matches(expected, happened), f"{number}: {cause} → {happened}, not {expected}"


@every_route
def test_every_dialect_is_recorded(route: Route) -> None:
    """At least one exchange."""
    assert _examples(route.path)


@every_route
def test_a_dialect_names_its_formats(route: Route) -> None:
    """Whoever sends samples says at what rate; the ear needs to know."""
    request = route.open(handshake()).request
    assert request.uplink.codec == "opus" or request.uplink.rate
    assert request.downlink.codec in ("opus", "pcm16") or request.downlink.rate


def test_paths_are_distinct() -> None:
    """One endpoint, one dialect."""
    paths = [route.path for route in (*ROUTES, *POSTS)]
    assert len(set(paths)) == len(paths)
    assert all(path.startswith("/") for path in paths)


@every_route
@given(text=st.text())
def test_refusals_can_be_sent(route: Route, text: str) -> None:
    """Whatever the sentence."""
    for message in route.refusal(PeerError("at_capacity", text)):
        assert isinstance(message, bytes) or json.loads(message)


@every_route
@given(messages=st.lists(st.binary() | st.text() | _json.map(json.dumps), max_size=4))
def test_rubbish_is_refused_by_the_typed_error(route: Route, messages: list[str | bytes]) -> None:
    """Any bytes, text or JSON."""
    dialect = route.open(handshake())
    for message in messages:
        _decode(dialect, message)


@every_route
@settings(max_examples=max(150, settings.default.max_examples))
@given(data=st.data())
def test_almost_right_messages_are_taken_or_refused(route: Route, data: st.DataObject) -> None:
    """A client's own messages with one field replaced, each before an announcement of any kind."""
    dialect = route.open(handshake())
    # Pairs: in a union the messages would be one of thirty, as that of announcements is flattened.
    steps = data.draw(st.lists(st.tuples(_mutated(route.path), announcements), max_size=8))
    for message, announcement in steps:
        _decode(dialect, message)
        _encode(dialect, announcement)


@every_route
@given(said=st.lists(announcements, max_size=12))
def test_any_announcements_can_be_sent(route: Route, said: list[Announcement]) -> None:
    """In any order; text is always a JSON object."""
    dialect = route.open(handshake())
    for announcement in said:
        _encode(dialect, announcement)


@every_route
@given(
    query=st.dictionaries(st.text(), st.text(), max_size=3),
    headers=st.dictionaries(
        st.sampled_from(["authorization", "x-api-key", "sec-websocket-protocol", "host"]),
        st.text(),
    ),
)
def test_any_handshake_is_taken_or_refused(
    route: Route, query: dict[str, str], headers: dict[str, str]
) -> None:
    """By the typed error alone."""
    try:
        route.open(handshake(route.path, query=query, headers=headers))
    except PeerError:
        return


def _decode(dialect: Dialect, message: str | bytes) -> None:
    try:
        decoded = dialect.decode(message)
    except PeerError:
        return
    for item in decoded:
        assert isinstance(item, Answer | ClientEvent)


def _encode(dialect: Dialect, announcement: Announcement) -> None:
    for message in dialect.encode(announcement):
        assert isinstance(message, bytes) or isinstance(json.loads(message), dict)
