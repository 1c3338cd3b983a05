"""XTTS on a checkpoint of random weights: what the suite of every voice does not ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deployments.backends.tts_coqui import Coqui
from deployments.contracts import AudioChunk, BadInput, LoadFailed, SpeechRequest
from tests.tiny import coqui
from tests.tiny.recording import write_recording

pytestmark = pytest.mark.timeout(300)

PHRASE = SpeechRequest("Hello, how are you today?")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The settings of a tiny one."""
    return coqui.build(tmp_path_factory)


@pytest.fixture(scope="module")
def voice(checkpoint: dict[str, object]) -> Iterator[Coqui]:
    """One that is loaded."""
    voice = Coqui(**checkpoint)
    info = voice.load()
    assert (info.voices, info.languages) == (("Ana", "Ben"), ("en", "de"))
    yield voice
    voice.close()


def audio(chunks: Iterator[AudioChunk]) -> bytes:
    """All of it."""
    return b"".join(chunk.pcm for chunk in chunks)


def test_a_phrase_streams(voice: Coqui, checkpoint: dict[str, object]) -> None:
    """More pieces, and as much sound, where a piece has fewer tokens."""
    usual = [chunk.duration_ms for chunk in voice.speak(PHRASE)]
    hasty = Coqui(**checkpoint, chunk_tokens=5)
    hasty.load()
    pieces = [chunk.duration_ms for chunk in hasty.speak(PHRASE)]
    hasty.close()
    assert len(pieces) > len(usual) > 1
    assert sum(pieces) == pytest.approx(sum(usual), abs=60)


def test_voices_and_recordings_sound_different(voice: Coqui, tmp_path: Path) -> None:
    """What a recording gives is kept beside it; the default voice is as it was."""
    recording = tmp_path / "reference.wav"
    write_recording(recording, 4.0, pitch_hz=300)
    default = audio(voice.speak(PHRASE))
    ben = audio(voice.speak(SpeechRequest(PHRASE.text, voice="Ben")))
    cloned = SpeechRequest(PHRASE.text, voice="other", recording=str(recording))
    other = audio(voice.speak(cloned))
    assert len({default, ben, other}) == 3
    assert len(list(tmp_path.glob("coqui-*.safetensors"))) == 1
    assert audio(voice.speak(PHRASE)) == default
    assert audio(voice.speak(cloned)) == other


def test_a_kept_recording_is_the_same_voice(
    voice: Coqui, checkpoint: dict[str, object], tmp_path: Path
) -> None:
    """Another replica reads what the first one made; torch may round once more or less."""
    recording = tmp_path / "reference.wav"
    write_recording(recording, 4.0, pitch_hz=300)
    request = SpeechRequest(PHRASE.text, voice="other", recording=str(recording))
    spoken = audio(voice.speak(request))
    recording.write_bytes(b"gone")
    replica = Coqui(**checkpoint)
    replica.load()
    again = audio(replica.speak(request))
    replica.close()
    assert np.frombuffer(again, np.int16) == pytest.approx(np.frombuffer(spoken, np.int16), abs=4)


def test_a_recording_too_short_is_refused(voice: Coqui, tmp_path: Path) -> None:
    """By BadInput, before the model hears it."""
    recording = tmp_path / "reference.wav"
    write_recording(recording, 2.0)
    with pytest.raises(BadInput, match="3 s are needed"):
        voice.prepare(recording)


def test_a_recording_may_be_the_default_voice(checkpoint: dict[str, object]) -> None:
    """Nothing is written beside it: the folder is not ours."""
    recording = Path(str(checkpoint["model"])) / "voice.wav"
    voice = Coqui(**(checkpoint | {"voice": str(recording)}))
    voice.load()
    assert audio(voice.speak(PHRASE))
    assert not list(recording.parent.glob("*.safetensors"))
    voice.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "nobody/nothing"}, "of 'nobody/nothing'"),
        ({"voice": "/nowhere.wav"}, "no recording '/nowhere.wav'"),
    ],
    ids=["model", "voice"],
)
def test_what_is_missing_is_named(
    checkpoint: dict[str, object], change: dict[str, object], message: str
) -> None:
    """By LoadFailed, and no thread is left."""
    with pytest.raises(LoadFailed, match=message):
        Coqui(**(checkpoint | change)).load()
