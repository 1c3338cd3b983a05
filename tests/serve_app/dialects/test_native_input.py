"""What a native client may say, and how it is told that it may not."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import Tool
from serve_app.conversation.events import (
    ClientEvent,
    CommitRequested,
    ConfigChanged,
    HangUp,
    InterruptRequested,
    PlaybackReported,
    TextTyped,
    ToolAnswered,
)
from serve_app.dialects import AudioFormat
from serve_app.dialects.native_input import (
    MAX_TEXT_BYTES,
    MAX_TEXT_CHARS,
    call_request,
    client_event,
)
from serve_app.errors import PeerError


def test_defaults_of_the_query():
    """Without a query: Opus up, PCM16 down, and the server's own voice and language."""
    request = call_request({})
    assert request.uplink == AudioFormat("opus", None)
    assert request.downlink == AudioFormat("pcm16", None)
    assert (request.voice, request.language, request.llm_url, request.resume) == (None,) * 4


def test_full_query():
    """Every parameter arrives in the request."""
    request = call_request(
        {
            "codec": "pcm16",
            "rate": "24000",
            "reply": "opus",
            "voice": "en-us",
            "language": "en",
            "resume": "token",
            "vllm_url": "http://other/v1",
        }
    )
    assert request.uplink == AudioFormat("pcm16", 24000)
    assert request.downlink == AudioFormat("opus", None)
    assert (request.voice, request.language) == ("en-us", "en")
    assert (request.resume, request.llm_url) == ("token", "http://other/v1")


def test_empty_and_unknown_parameters_count_as_absent():
    """A form's empty fields and a newer client's parameters change nothing."""
    empty = dict.fromkeys(["codec", "rate", "reply", "voice", "language", "resume", "vllm_url"], "")
    assert call_request({**empty, "colour": "blue"}) == call_request({})


@pytest.mark.parametrize("rate", ["8000", "16000", "48000"])
def test_rates_within_the_range(rate: str):
    """The ends of the range are in it."""
    assert call_request({"codec": "pcm16", "rate": rate}).uplink.rate == int(rate)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"codec": "mp3"}, "codec"),
        ({"codec": "PCM16"}, "codec"),
        ({"reply": "wav"}, "reply"),
        ({"rate": "16000"}, "rate"),
        ({"codec": "opus", "rate": "48000"}, "rate"),
        ({"codec": "pcm16", "rate": "7999"}, "rate"),
        ({"codec": "pcm16", "rate": "48001"}, "rate"),
        ({"codec": "pcm16", "rate": "-16000"}, "rate"),
        ({"codec": "pcm16", "rate": "16e3"}, "rate"),
        ({"codec": "pcm16", "rate": "1_6000"}, "rate"),
        ({"codec": "pcm16", "rate": "９０００"}, "rate"),
        ({"codec": "pcm16", "rate": "9" * 5000}, "rate"),
        ({"voice": "v" * 101}, "voice"),
        ({"language": "l" * 101}, "language"),
    ],
)
def test_a_wrong_query_is_refused_by_name(query: dict[str, str], names: str):
    """HTTP 400, and a short line that begins with the parameter."""
    with pytest.raises(PeerError) as caught:
        call_request(query)
    assert caught.value.code == "invalid_request_error"
    assert caught.value.status == 400
    assert caught.value.message.startswith(names)
    assert len(caught.value.message) < 150


@given(st.dictionaries(st.sampled_from(["codec", "rate", "reply", "voice"]), st.text()))
def test_no_query_does_worse_than_a_peer_error(query: dict[str, str]):
    """Whatever the query, the answer is a request or a PeerError."""
    with contextlib.suppress(PeerError):
        assert call_request(query).uplink.codec in ("opus", "pcm16")


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"type": "text", "text": "hello"}, TextTyped("hello")),
        ({"type": "interrupt"}, InterruptRequested()),
        ({"type": "commit"}, CommitRequested()),
        ({"type": "end"}, HangUp()),
        ({"type": "end", "reason": "bored"}, HangUp()),
        ({"type": "played", "reply_id": "r1", "ms": 0}, PlaybackReported("r1", 0.0)),
        ({"type": "played", "reply_id": "r1", "ms": 12.5}, PlaybackReported("r1", 12.5)),
        ({"type": "config"}, ConfigChanged()),
        ({"type": "config", "tools": []}, ConfigChanged(tools=())),
        (
            {"type": "config", "tools": [{"name": "a-1_B"}]},
            ConfigChanged(tools=(Tool("a-1_B", ""),)),
        ),
        (
            {
                "type": "config",
                "tools": [{"name": "a", "description": "d", "parameters": {"x": 1}}],
            },
            ConfigChanged(tools=(Tool("a", "d", '{"x":1}'),)),
        ),
        ({"type": "tool_result", "call_id": "c", "result": ""}, ToolAnswered("c", "")),
        ({"type": "config", "voice": None}, ConfigChanged()),
        (
            {
                "type": "config",
                "voice": "v",
                "language": "de",
                "instructions": "Be brief.",
                "endpoint_ms": 400,
            },
            ConfigChanged("v", "de", "Be brief.", 400),
        ),
    ],
)
def test_messages(message: dict[str, object], event: ClientEvent):
    """Each message is its event; a field that is not needed is ignored."""
    assert client_event(json.dumps(message)) == event


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("hello", "not JSON"),
        ('{"type": "played", "reply_id": "r", "ms": NaN}', "not JSON"),
        ('{"type": "played", "reply_id": "r", "ms": 1e999}', "not JSON"),
        ('{"type": "text", "text": "\\ud800"}', "not JSON"),
        ("[" * 30000, "not JSON"),
        ('{"a":' * 5000, "not JSON"),
        ("[]", "object"),
        ("null", "object"),
        ("7", "object"),
        ("{}", "type"),
        ('{"type": 7}', "type"),
        ('{"type": "dance"}', "'dance'"),
        ('{"type": "text"}', "text.text"),
        ('{"type": "text", "text": 7}', "text.text"),
        ('{"type": "text", "text": " \\n"}', "text.text"),
        ('{"type": "played", "ms": 7}', "played.reply_id"),
        ('{"type": "played", "reply_id": "r"}', "played.ms"),
        ('{"type": "played", "reply_id": "r", "ms": true}', "played.ms"),
        ('{"type": "played", "reply_id": "r", "ms": "7"}', "played.ms"),
        ('{"type": "played", "reply_id": "r", "ms": -1}', "played.ms"),
        ('{"type": "config", "colour": "blue"}', "'colour'"),
        ('{"type": "config", "voice": 7}', "config.voice"),
        ('{"type": "config", "language": []}', "config.language"),
        ('{"type": "config", "instructions": {}}', "config.instructions"),
        ('{"type": "config", "endpoint_ms": 99}', "config.endpoint_ms"),
        ('{"type": "config", "endpoint_ms": 5001}', "config.endpoint_ms"),
        ('{"type": "config", "endpoint_ms": 200.5}', "config.endpoint_ms"),
        ('{"type": "config", "endpoint_ms": true}', "config.endpoint_ms"),
        ('{"type": "config", "tools": {}}', "config.tools"),
        ('{"type": "config", "tools": [7]}', "config.tools"),
        ('{"type": "config", "tools": [{"name": "a"}, {"name": "a"}]}', "config.tools"),
        ('{"type": "config", "tools": [{"name": "a", "url": "u"}]}', "'url'"),
        ('{"type": "config", "tools": [{"name": "a b"}]}', "name"),
        ('{"type": "config", "tools": [{}]}', "name"),
        ('{"type": "config", "tools": [{"name": "a", "description": 7}]}', "description"),
        ('{"type": "config", "tools": [{"name": "a", "parameters": []}]}', "parameters"),
        ('{"type": "config", "tools": [' + ",".join(["{}"] * 33) + "]}", "32"),
        ('{"type": "tool_result", "result": "x"}', "tool_result.call_id"),
        ('{"type": "tool_result", "call_id": "c", "result": {}}', "tool_result.result"),
    ],
)
def test_a_wrong_message_keeps_the_call_open(message: str, says: str):
    """One line that names what is wrong; no close code."""
    with pytest.raises(PeerError) as caught:
        client_event(message)
    assert caught.value.code == "invalid_request_error"
    assert caught.value.close_code is None
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_longest_text():
    """A turn of 8000 characters is taken, one more is refused and the call goes on."""
    assert client_event(json.dumps({"type": "text", "text": "a" * MAX_TEXT_CHARS}))
    with pytest.raises(PeerError, match="8000") as caught:
        client_event(json.dumps({"type": "text", "text": "a" * (MAX_TEXT_CHARS + 1)}))
    assert caught.value.close_code is None


@pytest.mark.parametrize("filler", ["a", "é", "\ud800"])
def test_longest_json_message(filler: str):
    """The limit is in bytes of UTF-8: one byte more ends the call with 1009."""
    room = MAX_TEXT_BYTES // len(filler.encode("utf-8", "surrogatepass"))
    with pytest.raises(PeerError) as caught:
        client_event(filler * room)
    assert caught.value.close_code is None
    with pytest.raises(PeerError) as caught:
        client_event(filler * room + "aaa")
    assert (caught.value.code, caught.value.close_code) == ("message_too_big", 1009)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
_fields = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "played", "config", "interrupt", "commit", "end"]) | _json},
    optional=dict.fromkeys(
        ["text", "reply_id", "ms", "voice", "language", "instructions", "endpoint_ms"], _json
    ),
)


@given(st.text() | st.text(alphabet=st.characters(codec=None)) | (_json | _fields).map(json.dumps))
def test_no_message_does_worse_than_a_peer_error(message: str):
    """Random text and random JSON end as an event or a PeerError that keeps the call open."""
    with contextlib.suppress(PeerError):
        event = client_event(message)
        assert not isinstance(event, PlaybackReported) or 0 <= event.played_ms < math.inf
