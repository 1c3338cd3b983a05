"""serve_app.audio.level"""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.audio.level import LevelTracker
from serve_app.audio.pcm import Samples, from_float
from serve_app.conversation.events import LevelDropped, LevelRose

RATE = 16_000


def hum(ms: int, dbfs: float) -> Samples:
    """Something like a voice: pulses 8 ms apart, each ringing at a formant."""
    at = np.arange(ms * RATE // 1000)
    pulse = np.exp(-(at % 128) / 60) * np.sin(2 * np.pi * 500 * at / RATE)
    return (pulse * 10 ** (dbfs / 20) / np.sqrt(np.mean(pulse**2))).astype(np.float32)


def hiss(ms: int, dbfs: float, seed: int = 0) -> Samples:
    """Noise."""
    noise = np.random.default_rng(seed).normal(0, 10 ** (dbfs / 20), ms * RATE // 1000)
    return noise.astype(np.float32)


def quiet(ms: int) -> Samples:
    """Nothing at all."""
    return np.zeros(ms * RATE // 1000, np.float32)


def heard(*parts: Samples, message_ms: int = 20) -> list[LevelDropped | LevelRose]:
    """What a tracker says of the parts, one after the other."""
    tracker, pcm = LevelTracker(), from_float(np.concatenate(parts))
    step = message_ms * RATE // 1000 * 2
    events: list[LevelDropped | LevelRose] = []
    for at in range(0, len(pcm), step):
        events += tracker.push(pcm[at : at + step])
    return events


def test_the_end_of_speech_is_a_drop() -> None:
    """Where it was, and known 15 ms later."""
    assert heard(quiet(500), hum(1_000, -20), quiet(500)) == [LevelDropped(1_500, 1_515)]


def test_what_comes_after_a_short_silence_is_a_rise() -> None:
    """A stop consonant is two events; one shorter than 15 ms is none."""
    assert heard(hum(1_000, -20), quiet(60), hum(500, -20)) == [
        LevelDropped(1_000, 1_015),
        LevelRose(1_060),
    ]
    assert heard(hum(1_000, -20), quiet(10), hum(500, -20)) == []


@pytest.mark.parametrize("message_ms", [1, 7, 20, 3_000])
def test_how_the_audio_is_cut_changes_nothing(message_ms: int) -> None:
    """Messages of any length, ones that end inside a step too."""
    parts = hum(1_000, -20), quiet(60), hum(500, -20), quiet(200)
    assert heard(*parts, message_ms=message_ms) == heard(*parts)


def test_soft_sounds_at_the_end_of_a_word_are_no_drop() -> None:
    """A fricative 20 dB below the vowel before it belongs to the word."""
    assert heard(hum(1_000, -20), hiss(120, -40), quiet(200)) == [LevelDropped(1_120, 1_135)]


@pytest.mark.parametrize("noise_dbfs", [-65, -50, -42])
@pytest.mark.parametrize("seed", range(5))
def test_noise_hides_no_end(noise_dbfs: float, seed: int) -> None:
    """Once it was heard alone for a while, it counts as quiet, however it varies."""
    speech = hum(1_000, -20)
    parts = np.concatenate((quiet(500), speech, quiet(500))) + hiss(2_000, noise_dbfs, seed)
    drops = [e for e in heard(hiss(3_000, noise_dbfs, seed), parts) if e.__class__ is LevelDropped]
    assert drops[-1].at_ms == pytest.approx(4_500, abs=10)


def test_speech_in_loud_noise_has_no_drop() -> None:
    """With 10 dB between them nobody can tell, so nothing is said."""
    speech = np.concatenate((quiet(500), hum(1_000, -30), quiet(500))) + hiss(2_000, -40)
    assert heard(hiss(3_000, -40), speech) == []


def test_an_echo_is_not_quiet() -> None:
    """The agent's voice, 20 dB below the caller's: nothing is known before it ends."""
    assert heard(hum(1_000, -20), hum(300, -40), quiet(200))[0] == LevelDropped(1_300, 1_315)


def test_silence_alone_says_nothing() -> None:
    """Nor does noise that nobody spoke in, however long."""
    assert heard(quiet(5_000)) == []
    assert heard(hiss(10_000, -50)) == []


def test_a_soft_speaker_after_a_loud_one() -> None:
    """The level of speech is forgotten in some seconds."""
    events = heard(hum(1_000, -10), quiet(4_000), hum(1_000, -40), quiet(500))
    assert events[-1] == LevelDropped(6_000, 6_015)
