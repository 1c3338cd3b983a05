"""Where speakable text is cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from serve_app.conversation.phrases import PhraseCutter, PhrasePolicy, shortened

WORDS = st.lists(
    st.sampled_from(
        [
            "one",
            "two",
            "three,",
            "Dr.",
            "J.",
            "stop.",
            "what?!",
            '"so."',
            "-",
            "—",
            "你好，",
            "世界",
        ]
    ),
    max_size=80,
).map(" ".join)
LONG = "This sentence is quite a bit longer than sixty characters, so it stands alone."


def cut(*pieces: str, policy: PhrasePolicy | None = None) -> list[str]:
    """Every phrase of a reply that comes in these pieces."""
    cutter = PhraseCutter(policy or PhrasePolicy())
    phrases = [phrase for piece in pieces for phrase in cutter.feed(piece)]
    return phrases + cutter.end()


def first(text: str) -> list[str]:
    """What is cut at once from a reply that begins so."""
    return PhraseCutter().feed(text)


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("Yes.", ["Yes."]),
        ("Well of course,", ["Well of course,"]),
        ("Well then,", []),
        ("Here it is:", ["Here it is:"]),
        ("Not this one;", ["Not this one;"]),
        ("What we need —", ["What we need —"]),
        ("What we need -", []),
        ("What we need - ", ["What we need -"]),
        ("a well-known fact", []),
        ("你好吗？", ["你好吗？"]),
        ("我认为这个问题，", ["我认为这个问题，"]),
        ("他说。然后", ["他说。"]),
        ('He said "no."', ['He said "no."']),
        ("Really?!", ["Really?!"]),
        ("Well…", ["Well…"]),
    ],
)
def test_the_first_phrase_is_cut_at_its_first_boundary(text: str, phrases: list[str]) -> None:
    """A sentence of any length, a clause of three words: at once, without waiting for more."""
    assert first(text) == phrases


@pytest.mark.parametrize(
    "text", ["It is 3.", "It was about 3.14 or", "It costs about 1,", "Ask Dr.", "Ask J.", "at 10:"]
)
def test_a_dot_that_may_end_nothing_does_not_cut(text: str) -> None:
    """Decimals, thousands, times, initials and abbreviations go on."""
    assert first(text) == []


def test_a_number_ends_a_sentence_once_a_space_follows() -> None:
    """Only the character after it is waited for."""
    cutter = PhraseCutter()
    assert cutter.feed("It is 3.") == []
    assert cutter.feed(" But") == ["It is 3."]


def test_a_first_phrase_without_punctuation_is_cut_after_its_most_words() -> None:
    """At a word that a space ends, never inside the word that is still being written."""
    text = " ".join(["word"] * 12)
    assert first(text) == []
    assert first(text + "s and") == [text + "s"]


def test_a_script_without_spaces_is_cut_after_twice_as_many_characters() -> None:
    """Without spaces and punctuation there is only length."""
    assert first("字" * 30) == ["字" * 24]


def test_short_later_sentences_are_joined() -> None:
    """A voice sounds better with more than a few words; they are no longer urgent."""
    assert cut("Hi.", " It is I.", " I am here.", " Bye.") == ["Hi.", "It is I. I am here. Bye."]


def test_a_long_enough_later_sentence_is_cut_at_once() -> None:
    """Without waiting for what comes after it."""
    cutter = PhraseCutter()
    cutter.feed("Hi.")
    assert cutter.feed(" " + LONG) == [LONG]


def test_later_clauses_do_not_cut() -> None:
    """Only the first phrase is in such a hurry."""
    assert cut("Hi.", " This is it, I think, and more,") == [
        "Hi.",
        "This is it, I think, and more,",
    ]


def test_a_phrase_too_long_is_cut_at_its_last_clause_then_at_a_word_then_anywhere() -> None:
    """Nothing exceeds the most characters."""
    policy = PhrasePolicy(later_min_chars=10, later_max_chars=20)
    assert cut("Hi.", " one two three, four five six", policy=policy) == [
        "Hi.",
        "one two three,",
        "four five six",
    ]
    assert cut("Hi.", " one two three four five six", policy=policy) == [
        "Hi.",
        "one two three four",
        "five six",
    ]
    assert cut("Hi.", " " + "x" * 45, policy=policy) == ["Hi.", "x" * 20, "x" * 20, "x" * 5]


def test_punctuation_alone_joins_the_next_phrase_or_is_dropped_at_the_end() -> None:
    """A voice has nothing to say for it."""
    assert cut('He said "go.', '"', " Then.") == ['He said "go.', '" Then.']
    assert cut("Go.", " ...", ' "') == ["Go."]
    assert cut("", "...", "") == []


def test_a_long_run_of_punctuation_is_let_go() -> None:
    """It neither becomes a phrase nor grows for ever."""
    assert cut("." * 2000, " word") == ["word"]


@given(WORDS, st.integers(1, 9), st.integers(8, 60))
def test_phrases_lose_nothing_and_obey_the_policy(text: str, size: int, most: int) -> None:
    """Joined they are the text but for white space; stripped, speakable, never too long."""
    assume(not re.search(rf"[\W_]{{{most},}}", text))  # so much punctuation is dropped
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    policy = PhrasePolicy(later_min_chars=most // 2, later_max_chars=most)
    phrases = cut(*pieces, policy=policy)
    spoken, written = ("".join(part.split()) for part in ("".join(phrases), text))
    assert written.startswith(spoken)
    assert not any(c.isalnum() for c in written[len(spoken) :])
    assert all(phrase == phrase.strip() and len(phrase) <= most for phrase in phrases)
    assert all(any(c.isalnum() for c in phrase) for phrase in phrases)


@given(st.lists(st.text(max_size=30), max_size=10))
def test_any_text_keeps_its_letters_and_digits(pieces: list[str]) -> None:
    """No unicode raises, and what can be said is said."""
    said = [c for c in "".join(cut(*pieces)) if c.isalnum()]
    assert said == [c for c in "".join(pieces) if c.isalnum()]


@given(WORDS, st.integers(min_value=5, max_value=40))
def test_pieces_of_a_phrase_hold_its_text_and_keep_to_the_limit(text: str, limit: int) -> None:
    """No character is lost but whitespace at the cuts, and what alone says nothing."""
    for phrase in cut(text):
        pieces = shortened(phrase, limit)
        assert all(len(piece) <= limit for piece in pieces)
        at = 0
        for piece in pieces:
            found = phrase.index(piece, at)
            assert not any(character.isalnum() for character in phrase[at:found])
            at = found + len(piece)
        assert not any(character.isalnum() for character in phrase[at:])


@pytest.mark.parametrize(
    ("phrase", "limit", "pieces"),
    [
        ("Short enough.", 20, ["Short enough."]),
        ("He paid 3.5 dollars. Then, he left.", 24, ["He paid 3.5 dollars.", "Then, he left."]),
        ("Clouds all day, then a little rain.", 24, ["Clouds all day,", "then a little rain."]),
        ("nothing but words without a stop", 16, ["nothing but", "words without a", "stop"]),
        (
            "今日は天気がいいですね。明日は雨です。",
            12,
            ["今日は天気がいいですね。", "明日は雨です。"],
        ),
    ],
)
def test_where_a_phrase_is_shortened(phrase: str, limit: int, pieces: list[str]) -> None:
    """At a sentence, else at a clause, else at a word."""
    assert shortened(phrase, limit) == pieces
