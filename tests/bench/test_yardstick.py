"""When the plain rule decides over the bench's own clip."""

import pytest

from bench.clip import Clip, make_clip
from bench.plan import ENDPOINT_MS, RATE
from bench.yardstick import AFTER, BEFORE, decisions, decisions_due
from serve_app.audio.vad import FRAME_SAMPLES


@pytest.fixture(scope="module")
def clip() -> Clip:
    """The clip that callers speak."""
    return make_clip()


def test_clip_is_one_turn_in_every_alignment(clip: Clip) -> None:
    """No pause inside the clip ends it, at any of the 32 leads."""
    due = decisions_due(clip, 32)
    after_ms = [(at.end - clip.speech_end) * 1000 / RATE for at in due]
    assert min(after_ms) > ENDPOINT_MS - 32
    assert max(after_ms) < ENDPOINT_MS + 150
    assert all(0 < at.interrupt < clip.speech_end // 2 for at in due)


def test_clip_pauses_inside_the_turn(clip: Clip) -> None:
    """The clip has a pause that could have been its end, and goes on."""
    made = [decision for _, decision in decisions(BEFORE + clip.pcm + AFTER)]
    assert made.count("ended") == 1
    assert "went_on" in made


def test_decisions_lie_on_frames(clip: Clip) -> None:
    """A decision is made when a frame is complete."""
    assert all(at % FRAME_SAMPLES == 0 for at, _ in decisions(BEFORE + clip.pcm + AFTER))


def test_two_turns_are_refused(clip: Clip) -> None:
    """A clip with a long pause is not one turn."""
    twice = Clip(clip.pcm + bytes(RATE) + clip.pcm, clip.speech_start, clip.speech_end)
    with pytest.raises(ValueError, match="2 turns"):
        decisions_due(twice, 1)
