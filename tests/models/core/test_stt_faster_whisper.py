"""faster-whisper against its library's own decoding, on random weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from deployments import backends
from deployments.contracts import SPEECH_RATE, BadInput, LoadFailed, SpeechWindow
from tests.tiny import whisper

pytestmark = pytest.mark.timeout(600)
"""To build a checkpoint takes most of it, on a machine that has much to do."""


def noise(seconds: float, seed: int) -> bytes:
    """Something to transcribe."""
    samples = np.random.default_rng(seed).normal(0, 3000, int(seconds * SPEECH_RATE))
    return samples.astype(np.int16).tobytes()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A tiny checkpoint."""
    return whisper.build(tmp_path_factory)


@pytest.fixture(scope="module")
def backend(settings: dict[str, object]) -> Iterator[Any]:
    """Loaded."""
    loaded: Any = backends.create("stt", "faster-whisper", settings)
    loaded.load()
    yield loaded
    loaded.close()


def test_same_text_as_the_librarys(settings: dict[str, object], backend: Any) -> None:
    """`WhisperModel.transcribe`, told to decode as we do, gives the same text."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(settings["model"]), device="cpu", compute_type="int8")
    pcm = noise(2.0, 1)
    segments, _ = model.transcribe(
        np.frombuffer(pcm, np.int16).astype(np.float32) / 32768,
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        max_new_tokens=116,  # with a prompt of four: half of that is decoded, 30 for each second
        no_speech_threshold=None,
    )
    [ours] = backend.transcribe([SpeechWindow(pcm, final=False, language="en")])
    assert ours.text == "".join(segment.text for segment in segments).strip()
    assert ours.text


def test_a_batch_is_heard_as_its_windows_alone(backend: Any) -> None:
    """Windows of several lengths, languages and uses, in one call."""
    asked = [
        (1.0, True, "en"),
        (2.5, True, "en"),
        (1.5, True, "de"),
        (1.0, False, "en"),
        (0.0, True, None),
        (2.0, True, None),
        (1.2, True, None),
    ]
    windows = [
        SpeechWindow(noise(seconds, seed), final, language)
        for seed, (seconds, final, language) in enumerate(asked)
    ]
    together = backend.transcribe(windows)
    # The longest window of a batch bounds its tokens, so the shorter may run on for longer.
    alone = [backend.transcribe([window])[0] for window in windows]
    for both, one in zip(together, alone, strict=True):
        assert both.language == one.language
        assert both.text.startswith(one.text.rstrip("�"))
    assert together[0].words
    assert not together[3].words
    assert together[4].text == ""


def test_a_long_window_is_heard_in_pieces(backend: Any) -> None:
    """Longer than the encoder's half minute; times reach into the second piece."""
    [heard] = backend.transcribe([SpeechWindow(noise(33.0, 5), final=True, language="en")])
    assert heard.words[-1].end_ms > 30_000


def test_language_is_detected(backend: Any) -> None:
    """A window that does not say is heard in one of the model's languages."""
    [heard] = backend.transcribe([SpeechWindow(noise(1.0, 6), final=True)])
    assert heard.language in backend.load().languages


def test_an_unknown_language_is_refused(settings: dict[str, object], backend: Any) -> None:
    """By a window; by the settings when it is loaded; a tag's region does not matter."""
    with pytest.raises(BadInput, match="xx"):
        backend.transcribe([SpeechWindow(noise(1.0, 7), final=True, language="xx")])
    assert backend.transcribe([SpeechWindow(noise(1.0, 7), True, "de-AT")])[0].language == "de"
    with pytest.raises(LoadFailed, match="xx"):
        backends.create("stt", "faster-whisper", {**settings, "language": "xx"}).load()


def test_guards_hold_back_what_a_random_model_makes_up(settings: dict[str, object]) -> None:
    """With the guards as they are by default, noise is no speech."""
    guarded = {key: settings[key] for key in ("model", "device", "cpu_threads")}
    backend: Any = backends.create("stt", "faster-whisper", guarded)
    backend.load()
    [heard] = backend.transcribe([SpeechWindow(noise(2.0, 1), True, "en")])
    assert (heard.text, heard.words) == ("", ())
    backend.close()


def test_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is neither cached nor to be fetched is named, and how to provide it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    backend = backends.create("stt", "faster-whisper", {"model": "medium.en", "device": "cpu"})
    with pytest.raises(LoadFailed, match=r"medium\.en.*HF_HOME"):
        backend.load()
