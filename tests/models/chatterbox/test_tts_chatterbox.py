"""Chatterbox on a checkpoint of random weights: what the suite of every voice does not ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.backends.tts_chatterbox import Chatterbox
from deployments.contracts import AudioChunk, BadInput, LoadFailed, SpeechRequest
from tests.tiny import chatterbox
from tests.tiny.recording import write_recording

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(300),
]

PHRASE = SpeechRequest("Hello, how are you today?")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The settings of a tiny one."""
    return chatterbox.build(tmp_path_factory)


@pytest.fixture(scope="module")
def voice(checkpoint: dict[str, object]) -> Iterator[Chatterbox]:
    """One that is loaded."""
    voice = Chatterbox(**checkpoint)
    voice.load()
    yield voice
    voice.close()


def audio(chunks: Iterator[AudioChunk]) -> bytes:
    """All of it."""
    return b"".join(chunk.pcm for chunk in chunks)


def test_a_phrase_comes_in_chunks(voice: Chatterbox) -> None:
    """Of 80 ms, but the last."""
    chunks = list(voice.speak(PHRASE))
    assert {chunk.duration_ms for chunk in chunks[:-1]} == {80}
    assert 0 < chunks[-1].duration_ms <= 80


@pytest.mark.parametrize(
    "request_",
    [
        SpeechRequest("Guten Tag.", language="de"),
        SpeechRequest("Hello.", voice="nobody"),
        SpeechRequest("word " * 101),
    ],
    ids=["language", "voice", "characters"],
)
def test_what_it_cannot_say_is_refused(voice: Chatterbox, request_: SpeechRequest) -> None:
    """By BadInput, without a chunk."""
    with pytest.raises(BadInput):
        next(voice.speak(request_))


def test_nothing_is_said_of_nothing(voice: Chatterbox) -> None:
    """The library would say a sentence of its own."""
    assert list(voice.speak(SpeechRequest(" ...! "))) == []


def test_a_recording_is_another_voice(voice: Chatterbox, tmp_path: Path) -> None:
    """It is kept beside the recording, and the default voice is as it was."""
    default = audio(voice.speak(PHRASE))
    recording = tmp_path / "reference.wav"
    write_recording(recording, 5.5, pitch_hz=300)
    request = SpeechRequest(PHRASE.text, voice="other", recording=str(recording))
    other = audio(voice.speak(request))
    assert other != default
    assert len(list(tmp_path.glob("chatterbox-*.safetensors"))) == 1
    assert audio(voice.speak(PHRASE)) == default
    assert audio(voice.speak(request)) == other


def test_a_kept_recording_is_the_same_voice(
    voice: Chatterbox, checkpoint: dict[str, object], tmp_path: Path
) -> None:
    """Another replica reads what the first one made."""
    recording = tmp_path / "reference.wav"
    write_recording(recording, 5.5, pitch_hz=300)
    request = SpeechRequest(PHRASE.text, voice="other", recording=str(recording))
    spoken = audio(voice.speak(request))
    recording.write_bytes(b"gone")
    replica = Chatterbox(**checkpoint)
    replica.load()
    assert audio(replica.speak(request)) == spoken
    replica.close()


def test_a_recording_too_short_is_refused(voice: Chatterbox, tmp_path: Path) -> None:
    """The model needs more than 5 s."""
    recording = tmp_path / "reference.wav"
    write_recording(recording, 5.0)
    with pytest.raises(BadInput, match=r"5\.1 s are needed"):
        voice.prepare(recording)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "nobody/nothing"}, "of 'nobody/nothing'"),
        ({"voice": "/nowhere.wav"}, "no recording '/nowhere.wav'"),
        ({"voice": None}, "set `voice` to a recording"),
    ],
    ids=["model", "voice", "no voice"],
)
def test_what_is_missing_is_named(
    checkpoint: dict[str, object], change: dict[str, object], message: str
) -> None:
    """By LoadFailed, and no thread is left."""
    with pytest.raises(LoadFailed, match=message):
        Chatterbox(**(checkpoint | change)).load()
