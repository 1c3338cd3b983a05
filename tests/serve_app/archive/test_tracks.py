"""Both sides of a call on one time line."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serve_app.archive.records import RATE, Sound
from serve_app.archive.tracks import HELD, Tracks

BEGAN = 100.0


def ramp(length: int, first: int = 1) -> bytes:
    """Samples that can be told apart."""
    return (np.arange(first, first + length) % 30_000).astype("<i2").tobytes()


def line(blocks: list[Sound | None]) -> np.ndarray:
    """The whole line, silences filled in."""
    there = [block for block in blocks if block]
    end = max((block.start + len(block.pcm) // 4 for block in there), default=0)
    whole = np.zeros((end, 2), "<i2")
    for block in there:
        samples = np.frombuffer(block.pcm, "<i2").reshape(-1, 2)
        whole[block.start : block.start + len(samples)] = samples
    return whole


def test_the_callers_audio_lies_where_it_was_said() -> None:
    """A message holds what was said before it came; jitter leaves no seam."""
    tracks = Tracks(BEGAN)
    tracks.caller(ramp(1_600), BEGAN + 0.3)
    tracks.caller(ramp(1_600, 1_601), BEGAN + 0.45)
    tracks.caller(ramp(1_600, 3_201), BEGAN + 0.5)
    left = line([tracks.finish(BEGAN + 1)])[:, 0]
    assert not left[:3_200].any()
    assert left[3_200:8_000].tobytes() == ramp(4_800)


def test_what_was_said_before_consent_is_cut() -> None:
    """The message that was under way then is kept from then on."""
    tracks = Tracks(BEGAN)
    tracks.caller(ramp(1_600), BEGAN + 0.04)
    left = line([tracks.finish(BEGAN + 0.04)])[:, 0]
    assert left.tobytes() == ramp(640, 961)


def test_a_caller_who_was_silent_leaves_a_silence() -> None:
    """A client may send nothing while its microphone is off."""
    tracks = Tracks(BEGAN)
    tracks.caller(ramp(160), BEGAN + 0.01)
    tracks.caller(ramp(160), BEGAN + 5)
    left = line([tracks.finish(BEGAN + 5)])[:, 0]
    assert len(left) == 5 * RATE
    assert np.count_nonzero(left) == 320
    assert left[-160:].tobytes() == ramp(160)


def test_the_agents_audio_lies_where_it_is_heard() -> None:
    """From when it left, each piece behind the last; what was not heard at the flush is cut."""
    tracks = Tracks(BEGAN)
    tracks.agent(ramp(1_600), BEGAN + 0.5)
    tracks.agent(ramp(1_600, 1_601), BEGAN + 0.5)
    tracks.cut(BEGAN + 0.65)
    tracks.agent(ramp(160, 9_001), BEGAN + 0.75)
    right = line([tracks.finish(BEGAN + 1)])[:, 1]
    assert right[8_000:10_400].tobytes() == ramp(2_400)
    assert not right[10_400:12_000].any()
    assert right[12_000:12_160].tobytes() == ramp(160, 9_001)


def test_what_is_due_after_the_end_was_not_heard() -> None:
    """The call is over: nobody plays the rest."""
    tracks = Tracks(BEGAN)
    tracks.agent(ramp(4_000), BEGAN)
    assert len(line([tracks.finish(BEGAN + 0.1)])) == 1_600


def test_a_caller_faster_than_time_drives_the_line() -> None:
    """A file that is sent at once is as long as it is, and the answer comes behind it."""
    tracks = Tracks(BEGAN)
    for first in (1, 8_001):
        tracks.caller(ramp(8_000, first), BEGAN + 0.5)
    tracks.agent(ramp(160), BEGAN + 0.5)
    tracks.caller(ramp(160, 16_001), BEGAN + 0.5)
    whole = line([tracks.finish(BEGAN + 0.5)])
    assert whole[:16_160, 0].tobytes() == ramp(16_160)
    assert whole[16_000:16_160, 1].tobytes() == ramp(160)


@given(st.lists(st.tuples(st.integers(0, 900), st.booleans()), max_size=30))
def test_a_second_at_a_time_is_the_same_line(steps: list[tuple[int, bool]]) -> None:
    """However it is given out, nothing is lost, moved or held for long."""
    whole, pieces = Tracks(BEGAN), Tracks(BEGAN)
    now, given_out, sent = BEGAN, [], 0
    for wait_ms, agent in steps:
        now += wait_ms / 1000
        given_out.append(pieces.take(now))
        pcm = ramp(320, sent + 1)
        sent += 320
        for tracks in (whole, pieces):
            (tracks.agent if agent else tracks.caller)(pcm, now)
    given_out.append(pieces.finish(now))
    reference = line([whole.finish(now)])
    mine = line(given_out)
    assert np.array_equal(mine[: len(reference)], reference[: len(mine)])
    assert not reference[len(mine) :].any()


def test_no_more_than_a_second_is_held() -> None:
    """What can change no more is given out; a silence of an hour is nothing."""
    tracks = Tracks(BEGAN)
    assert tracks.take(BEGAN + 1 + HELD / RATE - 0.001) is None
    assert tracks.take(BEGAN + 3_600) is None
    tracks.caller(ramp(16_000), BEGAN + 3_601)
    block = tracks.take(BEGAN + 3_602)
    assert block is not None
    assert block.start <= 3_600 * RATE
    assert len(block.pcm) <= 4 * 2 * RATE
