"""What a caller hears of a reply."""

import numpy as np
import pytest

from bench.player import BUFFER_S, Player

RATE = 24_000


def sound(ms: int, silent_ms: int = 0) -> bytes:
    """Loud samples after silent ones."""
    samples = np.full(RATE * (silent_ms + ms) // 1000, 5000, "<i2")
    samples[: RATE * silent_ms // 1000] = 0
    return samples.tobytes()


def test_audio_in_time() -> None:
    """Chunks of 80 ms that come every 80 ms leave no gap."""
    player = Player()
    for chunk in range(5):
        player.take(10 + chunk * 0.08, sound(80), RATE)
    assert player.underruns == 0
    assert player.audible_at == 10
    assert player.dry_at == pytest.approx(10 + BUFFER_S + 0.4)


def test_gap_is_an_underrun_and_fills_the_buffer_again() -> None:
    """One late chunk is one gap; those that keep to its pace then are none."""
    player = Player()
    player.take(10.0, sound(80), RATE)
    player.take(10.2, sound(80), RATE)
    player.take(10.3, sound(80), RATE)
    assert player.underruns == 1


def test_buffer_forgives_its_own_length() -> None:
    """A chunk that comes 79 ms late is heard in time."""
    player = Player()
    player.take(10.0, sound(80), RATE)
    player.take(10.159, sound(80), RATE)
    assert player.underruns == 0


def test_silence_at_the_start_is_not_audible() -> None:
    """The first audible sample counts, where it sounds: across chunks too."""
    player = Player()
    player.take(10.0, sound(0, silent_ms=80), RATE)
    player.take(10.01, sound(40, silent_ms=40), RATE)
    assert player.first_at == 10
    assert player.audible_at == pytest.approx(10.12)


def test_over() -> None:
    """A reply is over once it was played and nothing came for a while; silence never is one."""
    player = Player()
    player.take(10.0, sound(0, silent_ms=80), RATE)
    assert not player.over(20.0, 0.5)
    player.take(10.08, sound(80), RATE)
    assert not player.over(10.7, 0.5)
    assert player.over(10.75, 0.5)
