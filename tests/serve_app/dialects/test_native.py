"""The native dialect as a whole: binary messages, and every announcement on the wire."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import Word
from serve_app.conversation.announcements import (
    Announcement,
    CallError,
    CallReady,
    ConversationResumed,
    FinalTranscript,
    Moving,
    PartialTranscript,
    PhraseBegun,
    RecordingChanged,
    ReplyAudio,
    ReplyDone,
    ReplyFlushed,
    ReplyResumed,
    ReplyStarted,
    ReplyText,
    SilenceTimedOut,
    SpeechStarted,
    SpeechStopped,
    ToolCalled,
    TurnTimings,
    VoiceRegistered,
)
from serve_app.conversation.events import AudioReceived, HangUp
from serve_app.dialects import Dialect
from serve_app.dialects.native import MAX_BINARY_BYTES, NativeDialect, refusal
from serve_app.errors import PeerError

_TYPES: dict[type[object], str | None] = {
    CallReady: "ready",
    ConversationResumed: "resumed",
    Moving: "moving",
    SpeechStarted: "speech_started",
    SpeechStopped: "speech_stopped",
    PartialTranscript: "partial",
    FinalTranscript: "final",
    ReplyStarted: "reply_started",
    ReplyText: "reply_text",
    PhraseBegun: "phrase",
    ReplyAudio: None,
    ReplyFlushed: "flush",
    ReplyResumed: "reply_resumed",
    ReplyDone: "reply_done",
    ToolCalled: "tool_call",
    RecordingChanged: "recording",
    TurnTimings: "timings",
    CallError: "error",
}


def _encode(announcement: Announcement, **query: str) -> list[str | bytes]:
    return NativeDialect(query).encode(announcement)


def _json_of(announcement: Announcement, **query: str) -> object:
    message = _encode(announcement, **query)[0]
    assert isinstance(message, str)
    return json.loads(message)


def test_it_is_a_dialect():
    """The class has the protocol that a call expects."""
    dialect: Dialect = NativeDialect({"codec": "pcm16"})
    assert dialect.request.uplink.rate == 16000


def test_binary_is_audio():
    """A binary message is the caller's audio, untouched; an empty one is nothing."""
    dialect = NativeDialect({})
    assert dialect.decode(b"\x00\x01\x02") == [AudioReceived(b"\x00\x01\x02")]
    assert dialect.decode(b"") == []


def test_text_is_json():
    """A text message is read as JSON."""
    assert NativeDialect({}).decode('{"type": "end"}') == [HangUp()]


def test_longest_audio_message():
    """1 MiB is taken; one byte more ends the call with 1009."""
    dialect = NativeDialect({})
    assert dialect.decode(bytes(MAX_BINARY_BYTES))
    with pytest.raises(PeerError) as caught:
        dialect.decode(bytes(MAX_BINARY_BYTES + 1))
    assert (caught.value.code, caught.value.close_code) == ("message_too_big", 1009)


@given(st.lists(st.binary() | st.text(), max_size=5))
def test_a_refused_message_leaves_the_dialect_usable(messages: list[str | bytes]):
    """After any rubbish the next good message is understood."""
    dialect = NativeDialect({})
    for message in messages:
        with contextlib.suppress(PeerError):
            dialect.decode(message)
    assert dialect.decode('{"type": "end"}') == [HangUp()]


def test_ready_names_the_formats():
    """`ready` repeats what is in force, and the unit of `played`, and how to come back."""
    ready = CallReady("c1", voice="en-us", language=None, resume="token", resume_s=120.0)
    assert _json_of(ready, codec="pcm16", rate="8000", reply="opus") == {
        "type": "ready",
        "call_id": "c1",
        "voice": "en-us",
        "language": None,
        "resume": "token",
        "resume_s": 120.0,
        "recordable": False,
        "uplink": {"codec": "pcm16", "rate": 8000},
        "reply": {"codec": "opus", "played_unit": "ms"},
    }


def test_reply_audio_in_pcm():
    """Tag 1, the rate in little endian, the samples."""
    assert _encode(ReplyAudio("r1", 22050, b"\x01\x00")) == [b"\x01\x22\x56\x00\x00\x01\x00"]


def test_reply_audio_in_opus():
    """Tag 4, the rate in little endian, the packet."""
    message = _encode(ReplyAudio("r1", 48000, b"\xf8\xff\xfe"), reply="opus")
    assert message == [b"\x04\x80\xbb\x00\x00\xf8\xff\xfe"]


def test_final_with_words():
    """JSON with the words' times, then the text alone in binary."""
    final = FinalTranscript("Grüß Gott", 100, 900, (Word("Grüß", 100, 400, 0.12345),))
    as_json, binary = _encode(final)
    assert isinstance(as_json, str)
    assert json.loads(as_json) == {
        "type": "final",
        "text": "Grüß Gott",
        "start_ms": 100,
        "end_ms": 900,
        "words": [{"text": "Grüß", "start_ms": 100, "end_ms": 400, "confidence": 0.123}],
    }
    assert binary == b"\x02" + "Grüß Gott".encode()


def test_empty_final_has_no_binary_form():
    """A turn without words is told in JSON alone, and without a `words` field."""
    assert [json.loads(m) for m in _encode(FinalTranscript("", 0, 90))] == [
        {"type": "final", "text": "", "start_ms": 0, "end_ms": 90}
    ]


def test_error_in_both_forms():
    """JSON with the code, then the sentence in binary."""
    as_json, binary = _encode(CallError("stage_timeout", "The voice did not answer."))
    assert isinstance(as_json, str)
    assert json.loads(as_json) == {
        "type": "error",
        "code": "stage_timeout",
        "message": "The voice did not answer.",
    }
    assert binary == b"\x03The voice did not answer."


def test_timings_have_one_decimal():
    """Milliseconds, rounded to a tenth."""
    assert _json_of(TurnTimings("r1", 200.04, 41.25001, 3.0, 17.96, 61.99)) == {
        "type": "timings",
        "reply_id": "r1",
        "pause_ms": 200.0,
        "stt_ms": 41.3,
        "llm_ms": 3.0,
        "tts_ms": 18.0,
        "pipeline_ms": 62.0,
    }


@pytest.mark.parametrize(
    ("announcement", "fields"),
    [
        (SpeechStarted(7), {"type": "speech_started", "at_ms": 7}),
        (SpeechStopped(8), {"type": "speech_stopped", "at_ms": 8}),
        (PartialTranscript("a"), {"type": "partial", "text": "a"}),
        (ReplyStarted("r"), {"type": "reply_started", "reply_id": "r"}),
        (ReplyText("r", "hm"), {"type": "reply_text", "reply_id": "r", "delta": "hm"}),
        (ReplyFlushed("r"), {"type": "flush", "reply_id": "r"}),
        (ReplyResumed("r", 5), {"type": "reply_resumed", "reply_id": "r", "from_ms": 5}),
        (
            ReplyDone("r", "interrupted", "hm"),
            {"type": "reply_done", "reply_id": "r", "status": "interrupted", "heard": "hm"},
        ),
    ],
)
def test_plain_announcements(announcement: Announcement, fields: dict[str, object]):
    """Each of these is one JSON message."""
    assert [json.loads(m) for m in _encode(announcement)] == [fields]


def test_half_a_surrogate_pair_does_not_end_the_call():
    """A model may cut an emoji in two: the half becomes a question mark, in JSON and binary."""
    assert _json_of(ReplyText("r", "ok \ud83d")) == {
        "type": "reply_text",
        "reply_id": "r",
        "delta": "ok ?",
    }
    words = (Word("\ud83d", 0, 1),)
    as_json, binary = _encode(FinalTranscript("\ud83d", 0, 1, words))
    assert isinstance(as_json, str)
    assert json.loads(as_json)["words"][0]["text"] == "?"
    assert binary == b"\x02?"


_ms = st.integers(min_value=0, max_value=2**53)
_words = st.lists(st.builds(Word, st.text(), _ms, _ms, st.floats(0, 1)), max_size=3).map(tuple)
_objects = st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False)).map(json.dumps)
_announcements = st.one_of(
    st.builds(ConversationResumed, _ms, _ms, st.text(), st.text()),
    st.builds(SpeechStarted, _ms),
    st.builds(SpeechStopped, _ms),
    st.builds(FinalTranscript, st.text(), _ms, _ms, _words),
    st.builds(ReplyResumed, st.text(), _ms),
    st.builds(PhraseBegun, st.text(), st.text(), _ms),
    st.builds(ReplyAudio, st.text(), st.integers(0, 2**32 - 1), st.binary()),
    st.builds(ToolCalled, st.text(), st.text(), st.text(), _objects),
    *[
        st.from_type(kind)
        for kind in _TYPES
        if kind
        not in (
            ConversationResumed,
            SpeechStarted,
            SpeechStopped,
            FinalTranscript,
            ReplyResumed,
            PhraseBegun,
            ReplyAudio,
            ToolCalled,
        )
    ],
)


def test_every_announcement_has_a_type():
    """The table above leaves none out but those of what a client cannot ask for here."""
    assert set(_TYPES) == set(get_args(Announcement)) - {SilenceTimedOut, VoiceRegistered}


@given(_announcements)
def test_every_announcement_encodes(announcement: Announcement):
    """Whatever its fields, an announcement is messages of the type that the page names."""
    first = _encode(announcement)[0]
    if isinstance(announcement, ReplyAudio):
        assert isinstance(first, bytes)
        assert struct.unpack("<I", first[1:5]) == (announcement.rate,)
        assert first[5:] == announcement.payload
    else:
        assert json.loads(first)["type"] == _TYPES[type(announcement)]


@given(st.text(min_size=1), st.text(), st.binary())
def test_a_client_that_reads_binary_alone_works(text: str, error: str, pcm: bytes):
    """From binary messages alone a client has the transcript, the audio and the errors."""
    dialect = NativeDialect({})
    announcements = [
        FinalTranscript(text, 0, 1),
        ReplyAudio("r", 16000, pcm),
        CallError("c", error),
    ]
    heard = {
        message[:1]: message[1:]
        for announcement in announcements
        for message in dialect.encode(announcement)
        if isinstance(message, bytes)
    }
    assert heard[b"\x01"][4:] == pcm
    assert heard[b"\x02"] == text.encode("utf-8", "replace")
    assert heard[b"\x03"] == error.encode("utf-8", "replace")


def test_a_refusal_says_when_to_try_again():
    """Where that is known: a page cannot read the HTTP header."""
    told, _ = refusal(PeerError("rate_limit_exceeded", "wait", retry_after_s=7))
    assert json.loads(told)["retry_after_s"] == 7
    told, _ = refusal(PeerError("url_not_allowed", "no"))
    assert "retry_after_s" not in json.loads(told)
