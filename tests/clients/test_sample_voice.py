"""The embedded caller's voice."""

from __future__ import annotations

import sys

import pytest

from clients.loudness import first_audible, voice_end_ms
from clients.sample_voice import SAMPLE_QUESTION, SampleVoiceMissing, speak


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_the_sample_question(rate: int):
    """A second or so of speech at the asked rate, and as much the second time."""
    pcm = speak(SAMPLE_QUESTION, rate)
    assert 0.7 < len(pcm) / 2 / rate < 2.0
    assert first_audible(pcm) is not None
    assert voice_end_ms(pcm, rate) > 700
    assert len(speak(SAMPLE_QUESTION, rate)) == len(pcm)


def test_longer_text_is_longer():
    """Not only the first piece of what the voice makes is kept."""
    assert len(speak(" ".join([SAMPLE_QUESTION] * 5), 16000)) > 4 * len(
        speak(SAMPLE_QUESTION, 16000)
    )


def test_without_the_package(monkeypatch: pytest.MonkeyPatch):
    """One line that says what cannot be loaded."""
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(SampleVoiceMissing, match="embedded voice cannot be loaded"):
        speak("hello", 16000)
