"""serve_app.audio.network"""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path

import numpy as np
import pytest

from serve_app.audio import network
from serve_app.audio.network import file_of_package, load_network


def test_a_file_is_found_without_importing_its_package() -> None:
    """Importing it may need what is not installed."""
    path = file_of_package("silero_vad", "data/silero_vad.onnx")
    assert path is not None
    assert path.is_file()
    assert "silero_vad" not in sys.modules


@pytest.mark.parametrize("installed", [False, True])
def test_what_is_not_there_is_none(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No package, or one without the file."""
    spec = importlib.machinery.ModuleSpec("any", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(network, "find_spec", lambda _name: spec if installed else None)
    assert file_of_package("any", "model.onnx") is None


def test_a_network_answers() -> None:
    """Silero's, with its outputs in order."""
    path = file_of_package("silero_vad", "data/silero_vad.onnx")
    assert path is not None
    state = np.zeros((2, 1, 128), np.float32)
    frame = np.zeros((1, 576), np.float32)
    feed = {"input": frame, "state": state, "sr": np.array(16_000, np.int64)}
    probability, after = load_network(path).run(None, feed)
    assert 0 <= probability[0, 0] < 0.5
    assert after.shape == state.shape
