"""VoXtream on a checkpoint of random weights: what the suite of every voice does not ask."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.backends.tts_voxtream import Voxtream
from deployments.contracts import AudioChunk, BadInput, LoadFailed, SpeechRequest
from tests.tiny import voxtream
from tests.tiny.recording import write_recording

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(300),
]

PHRASE = SpeechRequest("Hello, how are you today?")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The settings of a tiny one."""
    return voxtream.build(tmp_path_factory)


@pytest.fixture(scope="module")
def voice(checkpoint: dict[str, object]) -> Iterator[Voxtream]:
    """One that is loaded."""
    voice = Voxtream(**checkpoint)
    voice.load()
    yield voice
    voice.close()


def audio(chunks: Iterator[AudioChunk]) -> bytes:
    """All of it."""
    return b"".join(chunk.pcm for chunk in chunks)


def test_chunks_are_steps_of_the_model(voice: Voxtream) -> None:
    """80 ms of 24 kHz each."""
    chunks = list(voice.speak(PHRASE))
    assert {(chunk.rate, len(chunk.pcm)) for chunk in chunks} == {(24_000, 2 * 1920)}


def test_seed_makes_a_text_repeat(voice: Voxtream) -> None:
    """To the sample."""
    assert audio(voice.speak(PHRASE)) == audio(voice.speak(PHRASE))


def test_a_phrase_can_be_left_at_any_step(voice: Voxtream) -> None:
    """What the next one says does not depend on where the one before was left."""
    whole = audio(voice.speak(PHRASE))
    for steps in (0, 1, 3):
        speaking = voice.speak(PHRASE)
        for _ in range(steps):
            next(speaking)
        speaking.close()
        assert audio(voice.speak(PHRASE)) == whole


@pytest.mark.parametrize(
    "request_",
    [
        SpeechRequest("Guten Tag.", language="de"),
        SpeechRequest("Hello.", voice="nobody"),
        SpeechRequest("word " * 1_000),
        SpeechRequest("I say a lot of things. " * 60),
    ],
    ids=["language", "voice", "characters", "seconds"],
)
def test_what_it_cannot_say_is_refused_before_it_starts(
    voice: Voxtream, request_: SpeechRequest
) -> None:
    """By BadInput, without a chunk; and it speaks on."""
    with pytest.raises(BadInput):
        next(voice.speak(request_))
    assert audio(voice.speak(PHRASE))


def test_a_recording_is_another_voice(voice: Voxtream, tmp_path: Path) -> None:
    """What was made of it is kept beside it, and nothing is made of it twice."""
    recording = tmp_path / "reference.wav"
    write_recording(recording, 3.5, pitch_hz=300)
    request = SpeechRequest(PHRASE.text, voice="other", recording=str(recording))
    other = audio(voice.speak(request))
    assert other != audio(voice.speak(PHRASE))
    [kept] = tmp_path.glob("voxtream-*.safetensors")
    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(kept, again)
    moved = SpeechRequest(PHRASE.text, voice="other", recording=str(again / "reference.wav"))
    assert audio(voice.speak(moved)) == other


def test_a_spoilt_file_is_made_anew(voice: Voxtream, tmp_path: Path) -> None:
    """It is only a cache."""
    recording = tmp_path / "reference.wav"
    write_recording(recording, 3.5)
    voice.prepare(recording)
    [kept] = tmp_path.glob("voxtream-*.safetensors")
    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(recording, again)
    (again / kept.name).write_bytes(b"spoilt")
    voice.prepare(again / "reference.wav")
    assert (again / kept.name).read_bytes() == kept.read_bytes()


@pytest.mark.parametrize("seconds", [0.0, 2.9])
def test_a_recording_too_short_is_refused(voice: Voxtream, tmp_path: Path, seconds: float) -> None:
    """Of 2.9 s, and of none; one that is no recording too."""
    recording = tmp_path / "reference.wav"
    write_recording(recording, seconds)
    with pytest.raises(BadInput, match="3 s are needed"):
        voice.prepare(recording)
    recording.write_bytes(b"not a recording")
    with pytest.raises(BadInput, match="cannot be read"):
        voice.prepare(recording)


def test_text_is_no_option_of_espeak(voice: Voxtream, tmp_path: Path) -> None:
    """A phrase that looks like one is spoken, and writes no file."""
    written = tmp_path / "written.wav"
    phonemizer = voice._library.generator.ctx.phonemizer
    assert phonemizer.phonemize_espeak(f"-w{written}", language="en-us")
    assert not written.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "nobody/nothing"}, r"config\.json of 'nobody/nothing'"),
        ({"codec": "/nowhere"}, "tokenizer-"),
        ({"voice": "/nowhere.wav"}, "no recording '/nowhere.wav'"),
        ({"speaker_encoder": "nobody/nothing:main"}, "voxtream cannot be loaded"),
        ({"device": "cuda"}, "what torch sees here is 'cpu'"),
        ({"speaking_rate": 9.0}, "2 to 6 syllables"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_missing_is_named(
    checkpoint: dict[str, object], change: dict[str, object], message: str
) -> None:
    """By LoadFailed, and no thread is left."""
    with pytest.raises(LoadFailed, match=message):
        Voxtream(**(checkpoint | change)).load()


def test_espeak_must_be_there(
    checkpoint: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its absence is said with what to install."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LoadFailed, match="apt install espeak-ng"):
        Voxtream(**checkpoint).load()


def test_speaking_rate_is_the_models(checkpoint: dict[str, object]) -> None:
    """Any from 2 to 6 is taken, between those that are listed too."""
    voice = Voxtream(**(checkpoint | {"speaking_rate": 4.5}))
    voice.load()
    assert audio(voice.speak(PHRASE))
    voice.close()
