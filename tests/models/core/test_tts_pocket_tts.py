"""Pocket TTS over a tiny checkpoint: voices, and what is kept of them.

What every voice owes is in the contract suite: `--backend tts:pocket-tts`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.backends.tts_pocket_tts import PocketTextToSpeech
from deployments.contracts import BadInput, Cloning, LoadFailed, SpeechRequest
from tests.recordings import tone_wav
from tests.tiny import settings

pytestmark = [
    pytest.mark.filterwarnings("default"),
]
YES = SpeechRequest("Yes.")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The settings of the tiny one."""
    return settings("tts", "pocket-tts", tmp_path_factory)


@pytest.fixture(scope="module")
def tts(checkpoint: dict[str, object]) -> Iterator[PocketTextToSpeech]:
    """A loaded voice."""
    backend = PocketTextToSpeech(**checkpoint)  # type: ignore[arg-type]
    backend.load()
    yield backend
    backend.close()


def recorded(folder: Path) -> SpeechRequest:
    """A phrase in a registered voice."""
    folder.mkdir()
    (folder / "reference.wav").write_bytes(tone_wav(3.0))
    return SpeechRequest("Yes.", voice="anna", recording=str(folder / "reference.wav"))


def library_threads() -> list[threading.Thread]:
    """Those that generate and decode; they have names of no meaning."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("Thread-")]


def test_a_registered_voice_is_made_once(tts: PocketTextToSpeech, tmp_path: Path) -> None:
    """What the model made of it lies beside the recording, and serves when the memory is gone."""
    request = recorded(tmp_path / "anna")
    tts.prepare(Path(str(request.recording)))
    [kept] = [path for path in (tmp_path / "anna").iterdir() if path.suffix == ".safetensors"]
    assert kept.name.startswith("pocket-tts-")
    (tmp_path / "anna" / "reference.wav").unlink()
    tts._states.clear()
    assert list(tts.speak(request))
    assert len(list((tmp_path / "anna").iterdir())) == 1


def test_few_voices_are_kept_in_memory(tts: PocketTextToSpeech, tmp_path: Path) -> None:
    """The one used longest ago goes."""
    for number in range(18):
        tts._state_of(recorded(tmp_path / str(number)))
    assert len(tts._states) == 16
    assert str(tmp_path / "1" / "reference.wav") not in tts._states
    assert str(tmp_path / "2" / "reference.wav") in tts._states


def test_a_voice_it_does_not_have(tts: PocketTextToSpeech) -> None:
    """BadInput with its code, and the model is free again."""
    with pytest.raises(BadInput, match="no voice 'anna'") as caught:
        list(tts.speak(SpeechRequest("Yes.", voice="anna")))
    assert caught.value.code == "voice_not_found"
    assert list(tts.speak(YES))


def test_nothing_runs_on_after_a_phrase_was_closed(tts: PocketTextToSpeech) -> None:
    """The library's threads are over when `close` returns."""
    before = library_threads()
    speaking = tts.speak(SpeechRequest("This is a phrase that is cut off early on."))
    next(speaking)
    assert len(library_threads()) > len(before)
    speaking.close()
    assert library_threads() == before


def test_text_stays_out_of_the_log(
    tts: PocketTextToSpeech, caplog: pytest.LogCaptureFixture
) -> None:
    """The library warns of long texts, with the text."""
    list(tts.speak(SpeechRequest("secret " * 20)))
    assert "secret" not in caplog.text.lower()


def test_weights_with_cloning_clone(tts: PocketTextToSpeech) -> None:
    """Those without do not, and say so by the attribute."""
    assert tts.cloning == Cloning(min_s=3.0)


def test_weights_that_are_not_there_do_not_load(tmp_path: Path) -> None:
    """The message says what lacks, and how to get it."""
    with pytest.raises(LoadFailed, match="run it once with a network"):
        PocketTextToSpeech(model=str(tmp_path / "none.yaml")).load()


def test_languages_of_a_model() -> None:
    """A model of the library's speaks the language it is named for."""
    french = PocketTextToSpeech(model="french_24l")
    with pytest.raises(BadInput, match="'fr'"):
        next(french.speak(SpeechRequest("Yes.", language="en-GB")))
