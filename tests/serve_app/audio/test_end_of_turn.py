"""serve_app.audio.end_of_turn"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from serve_app.audio import end_of_turn
from serve_app.audio.end_of_turn import DETECTORS, EndOfTurnDetector, FallingLevel, SmartTurn
from serve_app.audio.resample import resample_all
from serve_app.errors import ConfigError

Tone = Callable[[float, int, float], bytes]
SECOND = 32_000
"""Bytes of a second."""


@pytest.fixture
def fresh_network() -> Iterator[None]:
    """No network is loaded before the test, nor kept after it."""
    end_of_turn._smart_turn.cache_clear()
    yield
    end_of_turn._smart_turn.cache_clear()


class Recorder:
    """A network that keeps what it is fed."""

    def __init__(self) -> None:
        self.fed: list[np.ndarray] = []

    def run(self, _outputs: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """See Network."""
        self.fed.append(feed["input_features"])
        return [np.array([[0.25]], np.float32)]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """In Smart Turn's place."""
    recorder = Recorder()
    monkeypatch.setattr(end_of_turn, "_smart_turn", lambda: recorder)
    return recorder


def said(sentence: str) -> bytes:
    """A sentence at 16 kHz, without the silence around it."""
    script = Path(__file__).with_name("synthesise.py")
    spoken = subprocess.run(
        [sys.executable, str(script), sentence], capture_output=True, check=True, timeout=30
    ).stdout
    samples = np.frombuffer(resample_all(spoken, 22_050, 16_000), "<i2")
    first, last = np.flatnonzero(np.abs(samples) > 100)[[0, -1]]
    return samples[first:last].tobytes()


def loudness(decibels: list[float], tone: Tone) -> bytes:
    """A tone that goes through these levels, 100 ms each."""
    piece = np.frombuffer(tone(200, 16_000, 0.1), "<i2")
    return b"".join((piece * 10 ** (level / 20)).astype("<i2").tobytes() for level in decibels)


@pytest.mark.parametrize("name", list(DETECTORS))
@pytest.mark.parametrize("pcm", [b"", bytes(2), bytes(SECOND), bytes(20 * SECOND)])
def test_any_length_has_a_probability(name: str, pcm: bytes) -> None:
    """Nothing, one sample, much more than is listened to."""
    assert 0 <= DETECTORS[name]().probability(pcm) <= 1


@pytest.mark.parametrize("name", list(DETECTORS))
def test_it_remembers_nothing(name: str, speech: bytes) -> None:
    """One detector serves all calls."""
    detector: EndOfTurnDetector = DETECTORS[name]()
    first = detector.probability(speech)
    detector.probability(speech[:SECOND])
    assert detector.probability(speech) == first


def test_smart_turn_tells_a_finished_sentence_from_a_broken_one() -> None:
    """A question, and words that must go on, each with a short pause after it."""
    detector, pause = SmartTurn(), bytes(SECOND // 16)
    assert detector.probability(said("What time do you open tomorrow?") + pause) > 0.5
    assert detector.probability(said("um, so I was thinking that we") + pause) < 0.5


def test_smart_turn_listens_to_the_last_eight_seconds(tone: Tone, recorder: Recorder) -> None:
    """What came before them changes nothing."""
    last = tone(300, 16_000, 8.0)
    assert SmartTurn().probability(last) == 0.25
    SmartTurn().probability(tone(900, 16_000, 3.0) + last)
    assert recorder.fed[0].shape == (1, 80, 800)
    assert np.array_equal(recorder.fed[0], recorder.fed[1])


def test_smart_turn_pads_in_front(tone: Tone, recorder: Recorder) -> None:
    """A short turn ends where the window ends."""
    SmartTurn().probability(tone(300, 16_000, 1.0))
    loudest = recorder.fed[0][0].max(axis=0)
    assert loudest[:690].max() < loudest[710:].min()


def test_smart_turn_does_not_mind_the_level(tone: Tone, recorder: Recorder) -> None:
    """A caller far from the microphone is judged as one near it."""
    loud = tone(300, 16_000, 2.0)
    quiet = (np.frombuffer(loud, "<i2") // 16).astype("<i2").tobytes()
    for pcm in (loud, quiet):
        SmartTurn().probability(pcm)
    assert np.abs(recorder.fed[0] - recorder.fed[1])[0, :10, 610:790].max() < 0.1


@pytest.mark.usefixtures("fresh_network")
def test_the_network_is_loaded_once() -> None:
    """Calls share one network."""
    assert SmartTurn()._network is SmartTurn()._network


@pytest.mark.usefixtures("fresh_network")
def test_a_missing_model_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the requirements file and the setting."""
    monkeypatch.setattr(end_of_turn, "file_of_package", lambda _package, _file: None)
    with pytest.raises(ConfigError, match=r"requirements/ears\.txt.*turn\.end_of_turn") as caught:
        SmartTurn()
    assert "\n" not in str(caught.value)


def test_the_model_comes_without_its_package() -> None:
    """The process that runs it imports neither the package nor torch."""
    code = (
        "import sys\n"
        "from serve_app.audio.end_of_turn import SmartTurn\n"
        "SmartTurn().probability(bytes(32000))\n"
        "assert not {'torch', 'transformers', 'pipecat'} & sys.modules.keys()\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=30)


def test_a_level_that_fell_is_an_end(tone: Tone) -> None:
    """A sentence that died away is over; one that broke off at full voice is not."""
    detector = FallingLevel()
    pause = bytes(SECOND // 16)
    assert detector.probability(loudness([0] * 10 + [-8, -14], tone) + pause) > 0.8
    assert detector.probability(loudness([0] * 12, tone) + pause) < 0.2
    assert detector.probability(loudness([-6] * 10 + [0, 0], tone) + pause) < 0.2


def test_the_silence_after_it_is_no_fall(tone: Tone) -> None:
    """However long the pause was, what was said decides."""
    detector, spoken = FallingLevel(), loudness([0] * 12, tone)
    short = detector.probability(spoken + bytes(SECOND // 10))
    assert detector.probability(spoken + bytes(SECOND)) == pytest.approx(short, abs=0.05)
