"""The plain rule for turns."""

from bench.ear import Decision, Ear
from bench.plan import PAUSE_FRAMES


def heard(probabilities: list[float]) -> list[tuple[int, Decision]]:
    """The decisions, each with the number of the frame that brought it."""
    ear = Ear()
    decisions = [(number, ear.hear(p)) for number, p in enumerate(probabilities, start=1)]
    return [(number, decision) for number, decision in decisions if decision]


def test_turn() -> None:
    """Three voice frames start a turn, six interrupt, two silent ones may end it, six do."""
    assert heard([0.9] * 8 + [0.0] * 8) == [
        (3, "started"),
        (6, "interrupting"),
        (10, "pausing"),
        (8 + PAUSE_FRAMES, "ended"),
    ]


def test_click_is_no_turn() -> None:
    """Two voice frames between silence start nothing."""
    assert heard([0.0, 0.9, 0.9, 0.0] * 3) == []


def test_short_pause_goes_on() -> None:
    """Voice after a candidate pause takes it back, and the count begins anew."""
    assert heard([0.9] * 6 + [0.0] * 5 + [0.9] + [0.0] * 6) == [
        (3, "started"),
        (6, "interrupting"),
        (8, "pausing"),
        (12, "went_on"),
        (14, "pausing"),
        (18, "ended"),
    ]


def test_one_silent_frame_is_no_candidate() -> None:
    """A gap of one frame is not a pause, so nothing goes on."""
    assert heard([0.9] * 6 + [0.0] + [0.9]) == [(3, "started"), (6, "interrupting")]


def test_hysteresis() -> None:
    """A fading voice stays voice above 0.35; silence becomes voice above 0.5 only."""
    assert heard([0.4] * 9) == []
    assert heard([0.6, 0.4, 0.4]) == [(3, "started")]
