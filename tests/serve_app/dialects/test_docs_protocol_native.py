"""The examples of docs/protocol-native.md are what the code reads and writes."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import wave
from pathlib import Path

import pytest

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
from serve_app.conversation.events import (
    AudioReceived,
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
from tests.clients.scripted_server import Peer, serve

_PAGE = (Path(__file__).parents[3] / "docs" / "protocol-native.md").read_text()

_ANNOUNCED: list[Announcement] = [
    CallReady("c1", "en-us", None, "SUBDo1Rvb3gqx9PFYr0YkUkX0bdWEV2h", 120.0, recordable=True),
    ConversationResumed(3, 6, "I need a holiday", "Why do you"),
    Moving("SUBDo1Rvb3gqx9PFYr0YkUkX0bdWEV2h"),
    SpeechStarted(640),
    SpeechStopped(1810),
    PartialTranscript("I need"),
    FinalTranscript("I need a holiday", 640, 1810),
    FinalTranscript("yes", 5200, 5630, (Word("yes", 5230, 5600, 0.93),)),
    ReplyStarted("r1"),
    ReplyText("r1", "Why do you "),
    PhraseBegun("r1", "Why do you need a holiday?", 0),
    ReplyAudio("r1", 16000, b"\xe8\x03\x18\xfc"),
    ReplyFlushed("r1"),
    ReplyResumed("r1", 1240),
    ReplyDone("r1", "completed", "Why do you need a holiday?"),
    ToolCalled("r1", "call-1", "open_page", '{"page": "offers"}'),
    RecordingChanged(True, 30.0),
    RecordingChanged(False),
    TurnTimings("r1", 200.0, 41.3, 2.1, 17.9, 24.4),
    CallError("invalid_request_error", "type must be a string"),
]


def _fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)


def _client_examples() -> list[str | bytes]:
    return [*_fenced("json client"), *map(bytes.fromhex, _fenced("hex client"))]


def _comparable(message: str | bytes) -> object:
    return message if isinstance(message, bytes) else json.loads(message)


def _encoded() -> list[object]:
    pcm = NativeDialect({"codec": "pcm16"})
    opus = NativeDialect({"reply": "opus"})
    messages = [message for announcement in _ANNOUNCED for message in pcm.encode(announcement)]
    messages += opus.encode(ReplyAudio("r1", 48000, b"\xf8\xff\xfe"))
    return [_comparable(message) for message in messages]


@pytest.mark.parametrize("example", _client_examples())
def test_client_examples_decode(example: str | bytes):
    """A client may send each of them as it stands."""
    assert len(NativeDialect({}).decode(example)) == 1


def test_every_client_event_has_an_example():
    """The page leaves no client message out."""
    shown = {
        type(event) for message in _client_examples() for event in NativeDialect({}).decode(message)
    }
    assert shown == {
        AudioReceived,
        TextTyped,
        InterruptRequested,
        CommitRequested,
        PlaybackReported,
        ConfigChanged,
        ToolAnswered,
        RecordingAnswered,
        HangUp,
    }


def _server_examples() -> list[object]:
    binary: list[object] = [bytes.fromhex(example) for example in _fenced("hex server")]
    return binary + [json.loads(example) for example in _fenced("json server")]


@pytest.mark.parametrize("example", _server_examples(), ids=str)
def test_server_examples_are_encoded_announcements(example: object):
    """The server sends each of them as it stands."""
    assert example in _encoded()


def test_every_server_message_has_an_example():
    """The page leaves no announcement and no binary form out."""
    assert {type(announcement) for announcement in _ANNOUNCED} == set(Announcement.__args__) - {
        SilenceTimedOut,
        VoiceRegistered,
    }
    shown = _server_examples()
    kinds = [message.get("type") for message in _encoded() if isinstance(message, dict)]
    assert {message["type"] for message in shown if isinstance(message, dict)} == set(kinds)
    assert {message[0] for message in shown if isinstance(message, bytes)} == {1, 2, 3, 4}


def test_every_example_is_marked():
    """No fenced block escapes these tests."""
    marks = set(re.findall(r"^```(.+)$", _PAGE, re.MULTILINE))
    assert marks == {"python", "json client", "json server", "hex client", "hex server"}


async def test_the_minimal_client_works(tmp_path: Path):
    """The page's program, run as it stands but for the port, hears the transcript and the reply."""
    with wave.open(str(tmp_path / "question.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\x01\x02" * 400)

    async def script(peer: Peer) -> None:
        for _ in range(3):
            await peer.hear(AudioReceived)
        await peer.say(
            FinalTranscript("hello", 0, 25), ReplyAudio("r1", 8000, b"\0" * 6), CallError("c", "ow")
        )
        await peer.say(ReplyDone("r1", "completed", ""))
        assert b"".join(peer.audio)[:801] == b"\x01\x02" * 400 + b"\0"
        await peer.socket.wait_closed()

    (program,) = _fenced("python")
    async with serve(script) as url:
        program = program.replace("ws://127.0.0.1:8000/ws", url)
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await client.communicate()
    assert output.decode().splitlines() == ["hello", "6 bytes of audio at 8000", "ow"]
    assert client.returncode == 0
