"""Snapshots as JSON: what is written is read, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import Message, Tool, ToolCall
from serve_app.conversation.events import ConfigChanged, ReplyRequested
from serve_app.conversation.history import Entry
from serve_app.conversation.snapshot import CutReply, Snapshot
from serve_app.resume.snapshot_json import MAX_BYTES, TooBig, decode, encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CALLS = st.builds(ToolCall, TEXTS, TEXTS, TEXTS)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    TEXTS,
    st.lists(CALLS, max_size=2).map(tuple),
    st.none() | TEXTS,
)
ENTRIES = st.lists(st.builds(Entry, TEXTS, MESSAGES), max_size=4).map(tuple)
REQUESTS = st.builds(ReplyRequested, text=st.none() | TEXTS, remembered=st.booleans())
SNAPSHOTS = st.builds(
    Snapshot,
    messages=ENTRIES,
    turns=st.integers(0, 10_000),
    config=st.builds(
        ConfigChanged,
        voice=st.none() | TEXTS,
        endpoint_ms=st.none() | st.integers(100, 5_000),
        speaks=st.none() | st.booleans(),
        tools=st.none() | st.lists(st.builds(Tool, TEXTS, TEXTS), max_size=2).map(tuple),
    ),
    replies=st.integers(0, 10_000),
    cut=st.none()
    | st.builds(CutReply, TEXTS, REQUESTS, st.lists(MESSAGES, max_size=2).map(tuple), TEXTS, TEXTS),
    unanswered=ENTRIES,
    requests=st.lists(REQUESTS, max_size=2).map(tuple),
    lasted_s=st.floats(0, 1e6),
)


@given(SNAPSHOTS)
def test_what_is_written_is_read(snapshot: Snapshot) -> None:
    """Every part of it, in its own type."""
    read = decode(encode(snapshot))
    assert read == snapshot
    assert read.lasted_s == snapshot.lasted_s


def test_half_a_character_becomes_a_question_mark() -> None:
    """A model's text may be cut inside one; the rest is kept."""
    snapshot = Snapshot((Entry("", Message("assistant", "so \ud83d")),))
    assert decode(encode(snapshot)).messages[0].message.content == "so ?"


def test_too_much_is_not_written() -> None:
    """The bound is on what is written."""
    with pytest.raises(TooBig):
        encode(Snapshot((Entry("", Message("user", "a" * MAX_BYTES)),)))


def test_the_longest_history_fits() -> None:
    """Of characters that take the most room."""
    encode(Snapshot((Entry("", Message("user", "\x01" * 60_000)),)))


@pytest.mark.parametrize(
    "changed",
    [
        b"",
        b"[]",
        b"\x80\x04K\x01.",
        {"version": 2},
        {"conversation": {"turns": "many"}},
        {"conversation": {"messages": [{"message_id": "", "message": {"role": "root"}}]}},
    ],
)
def test_anything_else_is_refused(changed: bytes | dict[str, object]) -> None:
    """Another version, another shape, another format: a ValueError without what was in it."""
    if isinstance(changed, dict):
        changed = json.dumps(json.loads(encode(Snapshot())) | changed).encode()
    with pytest.raises(ValueError, match="not a snapshot"):
        decode(changed)
