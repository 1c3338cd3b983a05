"""Sounds to test with, as int16 mono PCM."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serve_app.audio.resample import resample_all

Tone = Callable[[float, int, float], bytes]


@pytest.fixture(scope="session")
def speech() -> bytes:
    """A spoken sentence at 16 kHz, with half a second of silence before and after."""
    script = Path(__file__).with_name("synthesise.py")
    sentence = "Good morning. I would like to book a table for two people this evening."
    spoken = subprocess.run(
        [sys.executable, str(script), sentence], capture_output=True, check=True, timeout=30
    ).stdout
    silence = bytes(16_000)
    return silence + resample_all(spoken, 22_050, 16_000) + silence


@pytest.fixture(scope="session")
def tone() -> Tone:
    """tone(hertz, rate, seconds): a sine at half of full scale."""

    def make(hertz: float, rate: int, seconds: float) -> bytes:
        time = np.arange(round(rate * seconds)) / rate
        return (np.sin(2 * np.pi * hertz * time) * 16_384).astype("<i2").tobytes()

    return make


@pytest.fixture(scope="session")
def noise() -> Callable[[float, float], bytes]:
    """noise(level, seconds): white noise at 16 kHz, RMS `level` of full scale."""

    def make(level: float, seconds: float) -> bytes:
        samples = np.random.default_rng(7).normal(0, level * 32_768, round(16_000 * seconds))
        return np.clip(samples, -32_768, 32_767).astype("<i2").tobytes()

    return make
