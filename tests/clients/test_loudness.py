"""Where sound begins and ends."""

from __future__ import annotations

import random
from array import array

import pytest

from clients.loudness import (
    AUDIBLE,
    SILENCE_DBFS,
    NoiseFloor,
    first_audible,
    level_dbfs,
    voice_end_ms,
)


def _pcm(*parts: tuple[int, int]) -> bytes:
    """Samples of (level, count) parts, with alternating sign."""
    values = [level * (-1) ** n for level, count in parts for n in range(count)]
    return array("h", values).tobytes()


def test_first_audible():
    """The first sample at the threshold, of either sign; silence has none."""
    assert first_audible(_pcm((AUDIBLE - 1, 50), (AUDIBLE, 1))) == 50
    assert first_audible(array("h", [0, -AUDIBLE]).tobytes()) == 1
    assert first_audible(_pcm((AUDIBLE - 1, 50))) is None
    assert first_audible(b"") is None


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_voice_end(rate: int):
    """Within 10 ms of where the loud part ends, whatever noise follows it."""
    noise = array("h", [random.Random(n).randint(-200, 200) for n in range(rate // 4)])
    pcm = _pcm((0, rate // 10), (9000, rate // 2)) + noise.tobytes()
    assert 600 <= voice_end_ms(pcm, rate) <= 610 + 3


def test_voice_that_ends_with_the_file():
    """The last window may be short."""
    assert voice_end_ms(_pcm((9000, 16 * 95)), 16000) == 100


@pytest.mark.parametrize("pcm", [b"", bytes(32000)])
def test_no_voice(pcm: bytes):
    """Silence and nothing end at 0."""
    assert voice_end_ms(pcm, 16000) == 0


def test_level():
    """Of full scale; silence and nothing have the least."""
    assert level_dbfs(_pcm((32767, 320))) == pytest.approx(0.0, abs=0.01)
    assert level_dbfs(_pcm((3277, 320))) == pytest.approx(-20.0, abs=0.01)
    assert level_dbfs(bytes(640)) == level_dbfs(b"") == SILENCE_DBFS


def test_the_floor_of_a_room():
    """Speech hardly lifts it, and the pause after a word brings it back."""
    floor = NoiseFloor()
    for _ in range(50):
        floor.follow(-50.0)
    assert floor.dbfs == pytest.approx(-56.0, abs=0.1)
    for _ in range(200):
        floor.follow(-50.0)
    assert floor.dbfs == pytest.approx(-50.0, abs=0.1)
    for _ in range(50):
        floor.follow(-20.0)
    assert floor.dbfs < -45
    for _ in range(10):
        floor.follow(-50.0)
    assert floor.dbfs == pytest.approx(-50.0, abs=0.2)
