"""What a caller says."""

import numpy as np
import pytest

from bench.clip import speech_bounds
from bench.plan import RATE


def test_bounds_of_a_tone() -> None:
    """The bounds are those of the tone, whatever faint sound lies around it."""
    samples = np.full(RATE, 1e-4, np.float32)
    samples[RATE // 4 : RATE // 2] = 0.5
    assert speech_bounds(samples) == (RATE // 4, RATE // 2)


def test_silence_has_no_bounds() -> None:
    """Silence is an error: nothing could be measured from its end."""
    with pytest.raises(ValueError, match="silent"):
        speech_bounds(np.zeros(RATE, np.float32))
