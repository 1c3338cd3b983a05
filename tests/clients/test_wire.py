"""The client's parser against the server's dialect: two writings of one page."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import events, wire
from deployments.contracts import Tool, Word
from serve_app.conversation import announcements as said
from serve_app.conversation.events import (
    CommitRequested,
    ConfigChanged,
    HangUp,
    InterruptRequested,
    PlaybackReported,
    RecordingAnswered,
    TextTyped,
    ToolAnswered,
)
from serve_app.dialects.native import NativeDialect

_NO_ARGUMENTS = '{"type":"object","properties":{}}'


def _sent(announcement: said.Announcement, **query: str) -> list[object]:
    return [wire.parse(message) for message in NativeDialect(query).encode(announcement)]


@pytest.mark.parametrize(
    ("announcement", "event"),
    [
        (said.SpeechStarted(7), events.SpeechStarted(7)),
        (said.SpeechStopped(8), events.SpeechStopped(8)),
        (said.PartialTranscript(" ä"), events.Partial(" ä")),
        (said.ReplyStarted("r"), events.ReplyStarted("r")),
        (said.ReplyText("r", "so"), events.ReplyText("r", "so")),
        (said.PhraseBegun("r", "so", 40), events.Phrase("r", "so", 40)),
        (said.RecordingChanged(True, 30.0), events.Recording(True, 30.0)),
        (said.RecordingChanged(False), events.Recording(False, None)),
        (said.ReplyAudio("r", 8000, b"ab"), events.Payload("pcm16", 8000, b"ab")),
        (said.ReplyFlushed("r"), events.Flush("r")),
        (said.ReplyResumed("r", 9), events.ReplyResumed("r", 9)),
        (said.ReplyDone("r", "failed", "so"), events.ReplyDone("r", "failed", "so")),
        (said.ToolCalled("r", "c", "n", '{"a": [1]}'), events.ToolCall("r", "c", "n", {"a": [1]})),
        (
            said.TurnTimings("r", 200, 41.25, 0, 18.04, 60.3),
            events.Timings("r", 200.0, 41.2, 0.0, 18.0, 60.3),
        ),
    ],
)
def test_announcements_arrive(announcement: said.Announcement, event: events.Event):
    """What the server announces is what the client reads."""
    assert _sent(announcement) == [event]


def test_ready_arrives():
    """With the formats of both ways."""
    ready = said.CallReady("c", None, "en")
    assert _sent(ready) == [events.Ready("c", None, "en", "opus", None, "pcm16")]
    assert _sent(ready, codec="pcm16", rate="8000", reply="opus") == [
        events.Ready("c", None, "en", "pcm16", 8000, "opus")
    ]
    (recordable,) = _sent(said.CallReady("c", None, None, recordable=True))
    assert isinstance(recordable, events.Ready)
    assert recordable.recordable


def test_an_older_servers_ready():
    """It says nothing of coming back or of recording: neither is there."""
    opus = {"codec": "opus"}
    bare = json.dumps({"type": "ready", "call_id": "c", "uplink": opus, "reply": opus})
    assert wire.parse(bare) == events.Ready("c", None, None, "opus", None, "opus")


def test_a_final_arrives_in_both_forms():
    """The JSON with its words, and the text that stands alone."""
    final = said.FinalTranscript("so so", 1, 9, (Word("so", 1, 4, 0.5), Word("so", 5, 9, 1.0)))
    assert _sent(final) == [
        events.Final("so so", 1, 9, (events.Word("so", 1, 4, 0.5), events.Word("so", 5, 9, 1.0))),
        events.TranscriptBytes("so so"),
    ]


def test_an_error_arrives_in_both_forms():
    """The JSON with its code, and the sentence that stands alone."""
    assert _sent(said.CallError("c", "no")) == [
        events.ServerError("c", "no"),
        events.ErrorBytes("no"),
    ]


def test_an_opus_packet_arrives():
    """As it was, with the rate the server named."""
    audio = said.ReplyAudio("r", 48000, b"\xf8\xff\xfe")
    assert _sent(audio, reply="opus") == [events.Payload("opus", 48000, b"\xf8\xff\xfe")]


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (wire.text_message("ä"), TextTyped("ä")),
        (wire.command_message("interrupt"), InterruptRequested()),
        (wire.command_message("commit"), CommitRequested()),
        (wire.command_message("end"), HangUp()),
        (wire.played_message("r", 12.6), PlaybackReported("r", 13.0)),
        (wire.record_message(True), RecordingAnswered(True)),
        (wire.record_message(False), RecordingAnswered(False)),
        (wire.tools_message([]), ConfigChanged(tools=())),
        (
            wire.tools_message([wire.Tool("look"), wire.Tool("show", "Show it.", {"x": 1})]),
            ConfigChanged(
                tools=(Tool("look", "", _NO_ARGUMENTS), Tool("show", "Show it.", '{"x":1}'))
            ),
        ),
        (wire.tool_result_message("c", "ä"), ToolAnswered("c", "ä")),
    ],
)
def test_client_messages_are_understood(message: str, event: object):
    """What the client writes is what the server reads."""
    assert NativeDialect({}).decode(message) == [event]


def test_a_newer_servers_message_is_no_error():
    """An unknown type is named, and the call goes on."""
    assert wire.parse('{"type": "weather", "sunny": true}') == events.Unknown("weather")


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        "[" * 100_000,
        "{}",
        '{"type": "partial"}',
        '{"type": "speech_started", "at_ms": "7"}',
        '{"type": "phrase", "reply_id": "r", "text": "so"}',
        '{"type": "recording", "on": 1}',
        '{"type": "recording", "on": true, "keep_days": "30"}',
        '{"type": "reply_done", "reply_id": "r", "status": "lost", "heard": ""}',
        '{"type": "final", "text": "", "start_ms": 0, "end_ms": 0, "words": [7]}',
        '{"type": "timings", "reply_id": "r", "pause_ms": null}',
        b"",
        b"\x01\x00",
        b"\x01\x80\x3e\x00\x00\x01",
        b"\x01\x00\x00\x00\x00\x01\x00",
        b"\x02\xff",
        b"\x09abc",
    ],
)
def test_a_wrong_message_is_named(message: str | bytes):
    """Each is a BadMessage with a line of text."""
    with pytest.raises(wire.BadMessage, match=r"\w"):
        wire.parse(message)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_keys = [
    "text start_ms end_ms words reply_id delta status heard pause_ms call_id uplink reply at_ms "
    "on keep_days recordable resume_s"
]
_types = ["ready", "final", "timings", "reply_done", "error", "flush", "partial", "reply_resumed"]
_types += ["phrase", "recording"]


@given(
    st.binary()
    | st.text()
    | _json.map(json.dumps)
    | st.fixed_dictionaries(
        {"type": st.sampled_from(_types)}, optional=dict.fromkeys(_keys[0].split(), _json)
    ).map(json.dumps)
)
def test_no_message_does_worse_than_bad_message(message: str | bytes):
    """Random messages are events or BadMessage."""
    with contextlib.suppress(wire.BadMessage):
        assert wire.parse(message) is not None
