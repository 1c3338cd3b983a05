"""serve_app.audio.vad"""

from __future__ import annotations

import importlib.machinery
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from serve_app.audio import network, vad
from serve_app.audio.pcm import to_float
from serve_app.audio.vad import FRAME_MS, FRAME_SAMPLES, EnergyVad, SileroVad, VoiceDetector
from serve_app.errors import ConfigError

Noise = Callable[[float, float], bytes]
DETECTORS = [SileroVad, EnergyVad]


@pytest.fixture
def fresh_session() -> Iterator[None]:
    """No network is loaded before the test, nor kept after it."""
    vad._session.cache_clear()
    yield
    vad._session.cache_clear()


def probabilities(detector: VoiceDetector, pcm: bytes) -> np.ndarray:
    """One probability for every whole frame."""
    samples = to_float(pcm)
    whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
    return np.array([detector.push(frame) for frame in samples[:whole].reshape(-1, FRAME_SAMPLES)])


def test_a_frame_is_32_ms() -> None:
    """512 samples at 16 kHz."""
    assert FRAME_MS == 32


@pytest.mark.parametrize("detector", DETECTORS)
def test_speech_is_found_where_it_is(detector: Callable[[], VoiceDetector], speech: bytes) -> None:
    """Most frames of a sentence are speech, the silence before it is not."""
    found = probabilities(detector(), speech)
    assert np.mean(found[18:-20] > 0.5) > 0.6
    assert found[:14].max() < 0.5
    assert found[-8:].max() < 0.5


@pytest.mark.parametrize("detector", DETECTORS)
def test_silence_is_not_speech(detector: Callable[[], VoiceDetector]) -> None:
    """Ten seconds of digital silence never pass 0.5."""
    assert probabilities(detector(), bytes(320_000)).max() < 0.5


@pytest.mark.parametrize("level", [0.003, 0.03, 0.3])
def test_silero_does_not_take_noise_for_speech(level: float, noise: Noise) -> None:
    """White noise, from faint to deafening."""
    assert probabilities(SileroVad(), noise(level, 5.0)).max() < 0.5


@pytest.mark.parametrize("level", [0.003, 0.03])
def test_the_energy_detector_learns_steady_noise(level: float, noise: Noise) -> None:
    """From the second second on, noise is the floor."""
    assert probabilities(EnergyVad(), noise(level, 5.0))[32:].max() < 0.5


def test_the_energy_detector_gets_used_to_new_noise(noise: Noise) -> None:
    """Noise that sets in after silence counts as speech at first, and no longer after 5 s."""
    detector = EnergyVad()
    probabilities(detector, bytes(32_000))
    found = probabilities(detector, noise(0.03, 10.0))
    assert found[:30].min() > 0.5
    assert found[-150:].max() < 0.5


def test_the_energy_detector_hears_speech_over_learned_noise(speech: bytes, noise: Noise) -> None:
    """A floor that rose still lets louder words through."""
    detector = EnergyVad()
    probabilities(detector, noise(0.003, 5.0))
    mixed = np.frombuffer(speech, "<i2").astype(float)
    mixed += np.frombuffer(noise(0.003, len(speech) / 32_000), "<i2")[: len(mixed)]
    found = probabilities(detector, np.clip(mixed, -32_768, 32_767).astype("<i2").tobytes())
    assert np.mean(found[18:-20] > 0.5) > 0.4


@pytest.mark.parametrize("detector", DETECTORS)
def test_calls_do_not_hear_each_other(detector: Callable[[], VoiceDetector], speech: bytes) -> None:
    """A detector gives the same answers whatever another one is fed in between."""
    alone = probabilities(detector(), speech)
    first, second = detector(), detector()
    frames = to_float(speech)[: len(alone) * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    together: list[float] = []
    for frame in frames:
        together.append(first.push(frame))
        second.push(np.ascontiguousarray(frame[::-1]))
    assert together == alone.tolist()


def test_silero_remembers_the_frame_before(speech: bytes) -> None:
    """The same frame is judged by what came before it: context and state are carried on."""
    frames = to_float(speech)[20 * FRAME_SAMPLES : 40 * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    running = SileroVad()
    carried = [running.push(frame) for frame in frames]
    fresh = [SileroVad().push(frame) for frame in frames]
    assert carried[0] == fresh[0]
    assert carried[10:] != fresh[10:]


def test_silero_sees_the_end_of_the_frame_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's input is the last 64 samples of the frame before, then the frame."""
    inputs: list[np.ndarray] = []

    class Recorder:
        def run(self, _outputs: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            inputs.append(feed["input"].copy())
            return [np.zeros((1, 1), np.float32), feed["state"]]

    monkeypatch.setattr(vad, "_session", Recorder)
    samples = np.arange(2 * FRAME_SAMPLES, dtype=np.float32)
    detector = SileroVad()
    detector.push(samples[:512])
    detector.push(samples[512:])
    assert inputs[0].tolist() == [[0.0] * 64 + samples[:512].tolist()]
    assert inputs[1].tolist() == [samples[448:].tolist()]


def test_the_smaller_network_answers_as_the_usual_one(speech: bytes) -> None:
    """The file for 16 kHz alone holds the same network as the one that asks for the rate."""
    path = network.file_of_package("silero_vad", "data/silero_vad.onnx")
    assert path is not None
    usual, state = network.load_network(path), np.zeros((2, 1, 128), np.float32)
    context, expected = np.zeros(64, np.float32), list[float]()
    for frame in to_float(speech)[: 60 * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES):
        whole = np.concatenate((context, frame))[np.newaxis]
        feed = {"input": whole, "state": state, "sr": np.array(16_000, np.int64)}
        probability, state = usual.run(None, feed)
        expected.append(float(probability[0, 0]))
        context = frame[-64:]
    found = probabilities(SileroVad(), speech)[: len(expected)]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("fresh_session")
def test_the_network_is_loaded_once() -> None:
    """Calls share one network."""
    assert SileroVad()._session is SileroVad()._session


@pytest.mark.usefixtures("fresh_session")
@pytest.mark.parametrize("installed", [False, True])
def test_a_missing_model_says_what_to_do(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No package, or one without the file: one line that names the requirements file."""
    spec = importlib.machinery.ModuleSpec("silero_vad", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(network, "find_spec", lambda _name: spec if installed else None)
    with pytest.raises(ConfigError, match=r"requirements/ears\.txt") as caught:
        SileroVad()
    assert "\n" not in str(caught.value)


def test_torch_is_never_imported() -> None:
    """The detector runs in a process that loaded neither torch nor the silero_vad package."""
    code = (
        "import sys, numpy\n"
        "from serve_app.audio.vad import SileroVad\n"
        "SileroVad().push(numpy.zeros(512, numpy.float32))\n"
        "assert not {'torch', 'silero_vad'} & sys.modules.keys()\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=30)
