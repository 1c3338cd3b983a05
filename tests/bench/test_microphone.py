"""The caller's sample clock and what lies on its tape."""

import pytest

from bench.microphone import FRAME_BYTES, Microphone, Tape
from bench.plan import GRID_MS, RATE

MARK = b"\x01\x02"


def test_frame_is_sent_once_it_is_complete() -> None:
    """Sample 320 is the first of the second frame, which is sent 40 ms after the start."""
    microphone = Microphone(10.0)
    assert microphone.due(0) == pytest.approx(10.02)
    assert microphone.taken_at(320) == pytest.approx(10.02)
    assert microphone.sent_at(320) == pytest.approx(10.02)
    assert microphone.sent_at(321) == pytest.approx(10.04)


@pytest.mark.parametrize("lead", [0, 1, 80, 319, 320, 321, 2559])
@pytest.mark.parametrize("before", [0, 3, 8])
def test_put_lies_where_it_says(lead: int, before: int) -> None:
    """The utterance is on the tape at the returned sample, on the grid plus its lead."""
    tape = Tape()
    read = b"".join(tape.read() for _ in range(before))
    pcm = MARK * 1000
    start = tape.put(pcm, lead)
    read += b"".join(tape.read() for _ in range(40))
    assert (start - lead) % (GRID_MS * RATE // 1000) == 0
    assert start >= before * FRAME_BYTES // 2
    assert read == (bytes(start * 2) + pcm).ljust(len(read), b"\0")


def test_frames_are_whole() -> None:
    """Every frame has 20 ms, the last of an utterance too."""
    tape = Tape()
    tape.put(MARK * 333, 7)
    assert {len(tape.read()) for _ in range(10)} == {FRAME_BYTES}
    assert tape.frames == 10
