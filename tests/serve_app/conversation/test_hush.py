"""serve_app.conversation.hush"""

from __future__ import annotations

from serve_app.conversation.hush import ONSET_MS, TAIL_MS, Hush


def test_before_any_drop_the_voice_detector_alone_counts() -> None:
    """Nothing is quiet, and speech ends where it says."""
    hush = Hush()
    assert not hush.lasts(0)
    assert not hush.just_ended(0)
    assert [hush.spoken_to_ms(at) for at in (0, 50, 1_000)] == [0, 50, 1_000]


def test_voice_that_fades_in_the_quiet_ended_with_it() -> None:
    """As long as a detector may take to be sure; later voice is voice."""
    hush = Hush()
    hush.begin(1_000, 1_015)
    for voice_end_ms in (1_000, 1_032, 1_000 + TAIL_MS):
        assert hush.lasts(voice_end_ms)
        assert hush.spoken_to_ms(voice_end_ms) == 1_000
    assert not hush.lasts(1_001 + TAIL_MS)
    assert hush.spoken_to_ms(1_001 + TAIL_MS) == 1_001 + TAIL_MS


def test_voice_that_ended_before_the_quiet_ended_there() -> None:
    """The detector was the first to know."""
    hush = Hush()
    hush.begin(1_000, 1_015)
    assert hush.spoken_to_ms(980) == 980


def test_a_quiet_that_is_over_explains_only_voice_inside_it() -> None:
    """And may be the onset of voice, for as long as that is unknown."""
    hush = Hush()
    hush.begin(1_000, 1_015)
    hush.end(1_060)
    assert not hush.lasts(1_032)
    assert hush.spoken_to_ms(1_060) == 1_000
    assert hush.spoken_to_ms(1_061) == 1_061
    assert hush.just_ended(1_060)
    assert not hush.just_ended(1_060 + ONSET_MS)
