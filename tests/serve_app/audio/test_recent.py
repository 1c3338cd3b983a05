"""serve_app.audio.recent"""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.audio.recent import RecentAudio


@given(
    keep=st.integers(1, 50),
    pieces=st.lists(st.integers(0, 130), max_size=30),
    start=st.integers(-10, 400),
    length=st.integers(-10, 400),
)
def test_reads_what_a_list_would_hold(
    keep: int, pieces: list[int], start: int, length: int
) -> None:
    """Against the obvious model: every sample ever received, clipped to the last `keep`."""
    recent = RecentAudio(keep)
    everything = np.arange(sum(pieces), dtype="<i2")
    at = 0
    for size in pieces:
        recent.append(everything[at : at + size].tobytes())
        at += size
    oldest = max(0, at - keep)
    assert (recent.start, recent.end) == (oldest, at)
    end = start + length
    expected = everything[max(start, oldest) : max(0, min(end, at))]
    assert recent.read(start, end) == expected.tobytes()


def test_memory_does_not_grow() -> None:
    """Twenty minutes in small pieces, or 100 s at once, take no more memory than 1 s."""
    recent = RecentAudio(16_000)
    piece, long_piece = bytes(640), bytes(3_200_000)
    for _ in range(200):
        recent.append(piece)
    tracemalloc.start()
    for _ in range(60_000):
        recent.append(piece)
    recent.append(long_piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert recent.end == 60_200 * 320 + 1_600_000
    assert peak < 3 * 32_000


def test_a_buffer_for_nothing_is_our_bug() -> None:
    """It could never hold a window."""
    with pytest.raises(ValueError, match="nothing"):
        RecentAudio(0)


def test_nothing_is_kept_once_cleared() -> None:
    """Neither what there was nor the memory for it."""
    recent = RecentAudio(16_000)
    recent.append(bytes(32_000))
    recent.clear()
    assert (recent.start, recent.end, recent.read(0, 100)) == (0, 0, b"")
    assert len(recent._buffer) == 0
