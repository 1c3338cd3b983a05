"""Where speech starts, how long a pause is, and what a click does not do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serve_app.conversation.endpointing import FRAME_MS, Endpointer, EndpointingPolicy
from serve_app.conversation.events import VoiceFrame


def heard(*probabilities: float, ear: Endpointer | None = None) -> Endpointer:
    """An endpointer after these frames."""
    ear = ear or Endpointer(EndpointingPolicy())
    for probability in probabilities:
        ear.hear(VoiceFrame(probability, ear.now_ms + FRAME_MS))
    return ear


def test_nothing_heard() -> None:
    """Before any audio there is no speech and no pause."""
    ear = heard()
    assert (ear.speaking, ear.start_ms, ear.pause_ms, ear.speech_ms) == (False, None, 0, 0)


def test_silence_is_no_pause() -> None:
    """A pause is a pause in speech."""
    ear = heard(0.1, 0.1)
    assert (ear.now_ms, ear.speaking, ear.pause_ms) == (64, False, 0)


def test_speech_starts_at_its_first_frame() -> None:
    """Three frames of voice are speech, and it began with the first."""
    ear = heard(0.1, 0.9, 0.9)
    assert not ear.speaking
    heard(0.9, ear=ear)
    assert (ear.speaking, ear.start_ms, ear.voice_end_ms, ear.speech_ms) == (True, 32, 128, 96)


def test_click_is_no_speech() -> None:
    """Two frames of voice, again and again, never begin speech."""
    assert not heard(*[0.9, 0.9, 0.1] * 20).speaking


def test_thresholds_have_hysteresis() -> None:
    """Voice begins above 0.5 and goes on above 0.35; below 0.5 it never begins."""
    assert heard(0.5, 0.35, 0.35).speaking
    assert not heard(0.5, 0.34, 0.5, 0.5).speaking
    assert not heard(*[0.49] * 10).speaking


def test_pause_is_counted_from_the_last_voice() -> None:
    """The pause grows with silence and the speech does not."""
    ear = heard(*[0.9] * 10, 0.1, 0.1)
    assert (ear.pause_ms, ear.speech_ms) == (64, 320)


def test_click_does_not_end_a_pause() -> None:
    """One frame of voice in a pause leaves it a pause."""
    ear = heard(*[0.9] * 10, 0.1, 0.9, 0.1)
    assert (ear.pause_ms, ear.speech_ms) == (96, 320)


def test_voice_ends_a_pause() -> None:
    """Two frames of voice take up the speech again, pause included."""
    ear = heard(*[0.9] * 10, 0.1, 0.9, 0.9)
    assert (ear.pause_ms, ear.speech_ms) == (0, 416)
    heard(0.9, ear=ear)
    assert ear.speech_ms == 448


def test_voice_in_a_pause_resumes_until_it_is_speech_or_a_click() -> None:
    """Only while neither is known."""
    ear = heard(*[0.9] * 10)
    assert not ear.resuming
    assert not heard(0.1, ear=ear).resuming
    assert heard(0.9, ear=ear).resuming
    assert not heard(0.9, ear=ear).resuming
    heard(0.1, 0.9, ear=ear)
    assert not heard(0.1, ear=ear).resuming


def test_close_ends_speech() -> None:
    """After a close new voice must earn its start, even when it never stopped."""
    ear = heard(*[0.9] * 10)
    ear.close()
    assert (ear.speaking, ear.pause_ms, ear.speech_ms) == (False, 0, 0)
    heard(0.9, 0.9, ear=ear)
    assert not ear.speaking
    heard(0.9, ear=ear)
    assert ear.start_ms == 320


@given(st.lists(st.floats(0, 1)))
def test_times_fit_together(probabilities: list[float]) -> None:
    """Whatever is heard: start < end of voice ≤ now, and both parts of the time add up."""
    ear = Endpointer(EndpointingPolicy())
    for probability in probabilities:
        heard(probability, ear=ear)
        if ear.start_ms is not None:
            assert 0 <= ear.start_ms < ear.voice_end_ms <= ear.now_ms
            assert ear.start_ms + ear.speech_ms + ear.pause_ms == ear.now_ms
            assert ear.speech_ms >= EndpointingPolicy().start_ms
