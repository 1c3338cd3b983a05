"""serve_app.conversation.patience"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.conversation.patience import ends_dictated, pause_needed_ms
from serve_app.conversation.policy import TurnPolicy

ALONE = TurnPolicy(endpoint_ms=500)
JUDGED = TurnPolicy(endpoint_ms=200, judged_pauses=True)


def needed(
    policy: TurnPolicy, words: str, probability: float | None = None, *, settled: bool = True
) -> int:
    """The pause needed at the policy's own endpoint."""
    return pause_needed_ms(
        policy, policy.endpoint_ms, words, settled=settled, probability=probability
    )


@pytest.mark.parametrize(
    "text",
    [
        "five",
        "my number is oh seven",
        "oh one two oh",
        "zero zero",
        "it is twenty-three",
        "three hundred",
        "double",
        "four point",
        "My number is 555",
        "It's 555-0199.",
        "0171 2345,",
        "٠١٢",
        "電話は０３",
        "b",
        "B.",
        "J-O-H-N",
        "J. O. H. N.",
        "j o h n a",
        "a i",
        "b oh",
        "double you",
        "w w double u",
        "that is zed",
        "user underscore",
        "gmail dot",
        "room one",
        "is it one",
        "one",
        "the code is x 4 b",
        "x p m",
    ],
)
def test_digits_and_letters_may_go_on(text: str) -> None:
    """Spoken or written, alone or after other words."""
    assert ends_dictated(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "hello",
        "hello there.",
        "I want this one",
        "which one?",
        "no one",
        "so am I",
        "I want a",
        "oh",
        "hello oh",
        "I see you",
        "at five p.m.",
        "at 5 P.M.",
        "at five a m",
        "in the U.S.",
        "in the U.K.",
        "twenty five dollars",
        "three o'clock",
        "it's",
        "the 5th",
        "50%",
        "5 kg",
        "someone",
        "seventy percent",
        "字",
        "你好",
        "é",
    ],
)
def test_other_words_may_not(text: str) -> None:
    """Numbers inside a sentence, times, pronouns, words of one letter."""
    assert not ends_dictated(text)


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    """Space and punctuation after it change nothing."""
    assert ends_dictated(text) == ends_dictated(text + ", . ")


@given(st.text(), st.integers(0, 10**12))
def test_any_number_in_digits_is_dictated(text: str, number: int) -> None:
    """After whatever was said before it."""
    assert ends_dictated(f"{text} {number}")


def test_without_a_judge_the_endpoint_decides() -> None:
    """Whatever was said, and whether or not it is known."""
    assert needed(ALONE, "hello") == 500
    assert needed(ALONE, "hello", settled=False) == 500
    assert needed(ALONE, "", settled=False) == 500


@pytest.mark.parametrize(
    ("probability", "expected"), [(1.0, 200), (0.51, 200), (0.5, 1_500), (0.0, 1_500), (None, 500)]
)
def test_the_verdict_decides(probability: float | None, expected: int) -> None:
    """Complete ends soon, incomplete late, no verdict in between."""
    assert needed(JUDGED, "hello", probability) == expected


def test_words_that_are_still_to_come_are_waited_for() -> None:
    """They may be digits; but not for long."""
    assert needed(JUDGED, "hello", 0.9, settled=False) == 500


@pytest.mark.parametrize("policy", [ALONE, JUDGED])
def test_no_words_need_no_patience(policy: TurnPolicy) -> None:
    """A cough that sounds incomplete is over like any other."""
    assert needed(policy, "", 0.1) == policy.endpoint_ms


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("policy", [ALONE, JUDGED])
def test_digits_need_a_long_pause(policy: TurnPolicy, settled: bool) -> None:
    """However complete they sound, and by an earlier hypothesis too."""
    assert needed(policy, "it is five", 0.9, settled=settled) == 1_200
    assert needed(policy, "it is five", None, settled=settled) == 1_200


def test_incomplete_digits_get_the_longer_pause() -> None:
    """Both reasons to wait hold."""
    assert needed(JUDGED, "it is five", 0.1) == 1_500


@given(
    st.sampled_from([ALONE, JUDGED]),
    st.integers(0, 5_000),
    st.sampled_from(["", "hello", "five"]),
    st.booleans(),
    st.none() | st.floats(0, 1),
)
def test_no_turn_ends_before_its_endpoint(
    policy: TurnPolicy, endpoint_ms: int, words: str, settled: bool, probability: float | None
) -> None:
    """A client's own, longer one holds too."""
    pause_ms = pause_needed_ms(policy, endpoint_ms, words, settled=settled, probability=probability)
    assert pause_ms >= endpoint_ms
