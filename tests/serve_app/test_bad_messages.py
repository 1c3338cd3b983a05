"""A written list of what clients send and should not, to every socket of one server.

Each gets its typed error, or the close code for it; the server goes on, and a call beside it is
answered all along. Codes are those of the call; docs/protocol-*.md has how each dialect tells them.
"""

from __future__ import annotations

import asyncio
import struct
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from serve_app.conversation.announcements import CallError
from tests.ingress import open_ingress, ring_up, web
from tests.serve_app.bad_json import ANY_JSON, said, witness

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_app import metrics

INVALID, AUDIO, TOO_BIG = "invalid_request_error", "invalid_audio", "message_too_big"
MIB = 1024 * 1024
NAN = struct.pack("<4f", float("nan"), float("inf"), float("-inf"), 3.4e38)


@dataclass(frozen=True)
class Bad:
    """Messages of a client on a socket, and the errors they are told, in order. `closed`: the code
    that the call is then closed with; None: it goes on."""

    what: str
    path: str
    messages: list[str | bytes]
    told: list[str]
    closed: int | None = None
    query: str = ""


def append(payload: Any) -> str:
    """Realtime's audio message."""
    return said(type="input_audio_buffer.append", audio=payload)


def media(payload: Any) -> str:
    """Twilio's audio message."""
    return said(event="media", streamSid="MZ1", media={"track": "inbound", "payload": payload})


def start(**form: Any) -> str:
    """Twilio's first message."""
    good = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    return said(event="start", start={"streamSid": "MZ1", "mediaFormat": {**good, **form}})


_LIMITS = {
    "/ws": 64 * 1024,
    "/v1/realtime": 16 * MIB,
    "/twilio": 64 * 1024,
    "/v1/asr": 64 * 1024,
    "/v1/tts": 16 * MIB,
}
EVERYWHERE = [
    Bad(what, path, [message], [INVALID]) for path in _LIMITS for what, message in ANY_JSON
] + [
    Bad("a message too big", path, ['{"type": "' + "x" * limit + '"}'], [TOO_BIG], 1009)
    for path, limit in _LIMITS.items()
]

NATIVE = [
    Bad(what, "/ws", messages, told, closed, query)
    for what, messages, told, closed, query in [
        ("half a sample", [b"\0"], [AUDIO], None, "codec=pcm16"),
        ("no audio at all", [b""], [], None, "codec=pcm16"),
        ("audio too big", [b"\0" * (MIB + 1)], [TOO_BIG], 1009, "codec=pcm16"),
        ("seconds in a message", [b"\0" * (11 * 16_000)], [TOO_BIG], 1009, "codec=pcm16&rate=8000"),
        ("no Opus packet", [b"\xff" * 40], [AUDIO], None, ""),
        ("rubbish for seconds", [b"\xff" * 40] * 250, [AUDIO] * 5, 1003, ""),
        ("a blank text", [said(type="text", text=" \n")], [INVALID], None, ""),
        ("a text too long", [said(type="text", text="x" * 8_001)], [INVALID], None, ""),
        ("a text that is none", [said(type="text", text={"a": 1})], [INVALID], None, ""),
        ("played before it was sent", [said(type="played", reply_id="r9", ms=1)], [], None, ""),
        ("played backwards", [said(type="played", reply_id="r", ms=-1)], [INVALID], None, ""),
        ("played true", [said(type="played", reply_id="r", ms=True)], [INVALID], None, ""),
        ("played for ever", [said(type="played", reply_id="r", ms=1e308)], [], None, ""),
        ("a number of 400 digits", ['{"type": "played", "ms": 1' + "0" * 400 + "}"], [INVALID], None, ""),
        ("an unknown setting", [said(type="config", vioce="x")], [INVALID], None, ""),
        ("a voice that is not there", [said(type="config", voice="nobody")], [INVALID], None, ""),
        ("a path as a voice", [said(type="config", voice="../../etc/passwd")], [INVALID], None, ""),
        ("an endpoint of a century", [said(type="config", endpoint_ms=2**62)], [INVALID], None, ""),
        ("a tool twice", [said(type="config", tools=[{"name": "a"}] * 2)], [INVALID], None, ""),
        ("33 tools", [said(type="config", tools=[{"name": f"t{n}"} for n in range(33)])], [INVALID], None, ""),
        ("a tool named by a path", [said(type="config", tools=[{"name": "../a"}])], [INVALID], None, ""),
        ("an answer nobody asked for", [said(type="tool_result", call_id="x", result="y")], [], None, ""),
        ("an end, and more", [said(type="end"), said(type="interrupt")], [], 1000, ""),
        ("an interruption of nothing", [said(type="interrupt")] * 3, [], None, ""),
    ]
]  # fmt: skip

REALTIME = [
    Bad(what, "/v1/realtime", messages, told)
    for what, messages, told in [
        ("binary", [b"\0\0"], [INVALID]),
        ("audio that is no base64", [append("%%%")], [INVALID]),
        ("audio that is no text", [append(1)], [INVALID]),
        ("half a base64 letter", [append("A")], [INVALID]),
        ("half a sample", [append("AA==")], [AUDIO]),
        ("no audio", [append("")], []),
        ("a session that is none", [said(type="session.update", session=[])], [INVALID]),
        ("a rate of 0", [said(type="session.update", session={"audio": {"input": {"format": {"type": "audio/pcm", "rate": 0}}}})], [INVALID]),
        ("a format of nobody's", [said(type="session.update", session={"audio": {"input": {"format": {"type": "audio/mp3"}}}})], [INVALID]),
        ("an item without content", [said(type="conversation.item.create", item={"type": "message", "role": "user"})], [INVALID]),
        ("an item of an unknown role", [said(type="conversation.item.create", item={"type": "message", "role": "root", "content": []})], [INVALID]),
        ("a cancel of nothing", [said(type="response.cancel")], ["response_cancel_not_active"]),
        ("129 items in a response", [said(type="response.create", response={"input": [{"type": "message"}] * 129})], [INVALID]),
        ("metadata of numbers", [said(type="response.create", response={"metadata": {"a": 1}})], [INVALID]),
        ("a reference to nothing", [said(type="response.create", response={"input": [{"type": "item_reference", "id": "x"}]})], [INVALID]),
    ]
]  # fmt: skip

TWILIO = [
    Bad("binary", "/twilio", [b"\0\0"], [INVALID]),
    Bad("another encoding", "/twilio", [start(encoding="audio/opus")], ["unsupported_format"], 1003),
    Bad("another rate", "/twilio", [start(sampleRate=16_000)], ["unsupported_format"], 1003),
    Bad("a rate that is text", "/twilio", [start(sampleRate="8000")], ["unsupported_format"], 1003),
    Bad("a start without a form", "/twilio", [said(event="start")], ["unsupported_format"], 1003),
    Bad("sound before the start", "/twilio", [media("/w==")], []),
    Bad("sound that is no base64", "/twilio", [start(), media("%")], [INVALID]),
    Bad("sound that is a list", "/twilio", [start(), media([1])], [INVALID]),
    Bad("media that is text", "/twilio", [said(event="media", media="x")], [INVALID]),
    Bad("a mark of nobody's", "/twilio", [start(), said(event="mark", mark={"name": "x@y@z"})], []),
    Bad("a mark without a name", "/twilio", [start(), said(event="mark", mark={})], [INVALID]),
]  # fmt: skip

SERVICES = [
    Bad("NaN and infinite samples", "/v1/asr", [NAN * 1_000], []),
    Bad("three bytes of a float", "/v1/asr", [b"\0\0\0"], [AUDIO]),
    Bad("audio too big", "/v1/asr", [bytes(MIB + 4)], [TOO_BIG], 1009),
    Bad("seconds in a message", "/v1/asr", [bytes(11 * 16_000 * 4)], [TOO_BIG], 1009),
    Bad("a rate of half a Hz", "/v1/asr", [said(type="config", sample_rate=16_000.5)], [INVALID]),
    Bad("a rate of nothing", "/v1/asr", [said(type="config", sample_rate=0)], [INVALID]),
    Bad("an unknown setting", "/v1/asr", [said(type="config", eval="1")], [INVALID]),
    Bad("a model that is not here", "/v1/asr", [said(type="config", model="big")], [INVALID]),
    Bad("an unknown encoding", "/v1/asr", [said(type="config", encoding="u8")], [INVALID]),
    Bad("binary", "/v1/tts", [b"\0" * 100], [INVALID]),
    Bad("no text", "/v1/tts", [said(type="synthesize")], [INVALID]),
    Bad("a blank text", "/v1/tts", [said(type="synthesize", text=" ")], [INVALID]),
    Bad("a text too long", "/v1/tts", [said(type="synthesize", text="x" * 8_001)], [INVALID]),
    Bad("chunks of nothing", "/v1/tts", [said(type="synthesize", text="a", chunk_size=0)], [INVALID]),
    Bad("a voice of nobody's", "/v1/tts", [said(type="synthesize", text="a", voice_id="x")], [INVALID]),
    Bad("a voice to register", "/v1/tts", [said(type="register_voice", voice_id="a", reference_audio="AA==")], ["recording_undecodable"]),
]  # fmt: skip

ON_SOCKETS = [*EVERYWHERE, *NATIVE, *REALTIME, *TWILIO, *SERVICES]
SENTINEL_TYPE = "is anybody there"
SENTINEL = said(type=SENTINEL_TYPE, event=SENTINEL_TYPE)
"""No dialect knows it: its error says that all before it was taken in."""


class Told:
    """The errors that calls were told."""

    def __init__(self) -> None:
        self.errors: list[CallError] = []
        self._more = asyncio.Event()

    def observe(self, announcement: object) -> None:
        """In place of the metrics' own."""
        if isinstance(announcement, CallError):
            self.errors.append(announcement)
            self._more.set()

    async def before_the_sentinel(self) -> list[str]:
        """The codes that came before the sentinel's, once that is there."""
        async with asyncio.timeout(20):
            while not any(SENTINEL_TYPE in error.message for error in self.errors):
                self._more.clear()
                await self._more.wait()
        return [e.code for e in self.errors if SENTINEL_TYPE not in e.message]


@pytest.fixture
async def app() -> AsyncIterator[Any]:
    """One server for all of a test's calls."""
    async with open_ingress() as app:
        yield app


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What all calls of a test are told."""
    recorded = Told()
    monkeypatch.setattr(metrics, "observe", recorded.observe)
    return recorded


def _of(path: str) -> list[Bad]:
    return [bad for bad in ON_SOCKETS if bad.path == path]


def test_it_is_a_long_list() -> None:
    """Many kinds, each socket among them."""
    assert len({bad.what for bad in ON_SOCKETS}) >= 75
    assert {bad.path for bad in ON_SOCKETS} == set(_LIMITS)


@pytest.mark.parametrize("path", _LIMITS)
async def test_bad_messages(app: Any, path: str, told: Told) -> None:
    """All of a socket's, each on a call of its own, beside one call that goes on."""
    wrong: dict[str, Any] = {}
    async with witness(app):
        for bad in _of(path):
            told.errors.clear()
            query = dict(pair.split("=") for pair in bad.query.split("&") if pair)
            async with ring_up(app, path, query) as line:
                await line.answered.wait()
                for message in bad.messages:
                    line.say(message)
                if bad.closed is None:
                    line.say(SENTINEL)
                    came = await told.before_the_sentinel()
                else:
                    async with asyncio.timeout(20):
                        await line.ended()
                    came = [error.code for error in told.errors]
                if (came, line.closed_with) != (bad.told, bad.closed):
                    wrong[bad.what] = (came, line.closed_with)
    assert wrong == {}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"codec": "mp3"}, 400, INVALID),
        ({"codec": "pcm16", "rate": "0"}, 400, INVALID),
        ({"codec": "pcm16", "rate": "1e4"}, 400, INVALID),
        ({"codec": "pcm16", "rate": "١٦٠٠٠"}, 400, INVALID),
        ({"codec": "pcm16", "rate": "9" * 5_000}, 400, INVALID),
        ({"codec": "opus", "rate": "16000"}, 400, INVALID),
        ({"reply": "wav"}, 400, INVALID),
        ({"voice": "x" * 101}, 400, INVALID),
        ({"voice": "nobody"}, 400, INVALID),
        ({"vllm_url": "http://169.254.169.254/"}, 403, "url_not_allowed"),
        ({"x": "x" * 40_000}, 431, "head_too_large"),
    ],
    ids=str,
)
async def test_bad_handshakes(app: Any, query: dict[str, str], status: int, code: str) -> None:
    """They are refused before there is a call, and take no room."""
    async with witness(app), ring_up(app, "/ws", query) as line:
        await line.ended()
        assert (line.status, line.code) == (status, code)
        async with web(app) as client:
            assert (await client.get("/readyz")).json()["calls"] == 1
