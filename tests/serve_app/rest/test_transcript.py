"""serve_app.rest.transcript: windows put together, and the forms they are told in."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import Transcript, Word
from serve_app.rest.transcript import Heard, Segment, srt, verbose, vtt

WORDS = (Word("Good", 0, 300, 0.5), Word("morning.", 300, 900, 1.0), Word("Yes", 1_000, 1_200))


def heard(*windows: tuple[Transcript, int]) -> Heard:
    """Windows of 2 s."""
    result = Heard()
    for transcript, start_ms in windows:
        result.add(transcript, start_ms, start_ms + 2_000)
    return result


def test_windows_are_joined() -> None:
    """By a space where the script has them; empty ones leave none."""
    result = Heard()
    deltas = [
        result.add(Transcript(text), at * 1_000, at * 1_000 + 900)
        for at, text in enumerate(("Hello", "", " there ", "你好", "世界"))
    ]
    assert deltas == ["Hello", "", " there", "你好", "世界"]
    assert result.text == "Hello there你好世界"


def test_times_are_those_of_the_recording() -> None:
    """Each window's words count from its beginning."""
    result = heard((Transcript("Good morning. Yes", WORDS), 10_000))
    assert [(word.text, word.start_ms) for word in result.words] == [
        ("Good", 10_000),
        ("morning.", 10_300),
        ("Yes", 11_000),
    ]


def test_sentences_are_segments() -> None:
    """With the text as it was written."""
    result = heard((Transcript("Good morning. Yes", WORDS), 10_000))
    assert result.segments == [
        Segment("Good morning.", 10_000, 10_900, 0.75),
        Segment("Yes", 11_000, 11_200, 1.0),
    ]


def test_without_word_times_a_window_is_a_segment() -> None:
    """As long as the window."""
    assert heard((Transcript("Hm."), 4_000)).segments == [Segment("Hm.", 4_000, 6_000)]


def test_long_speech_is_parted() -> None:
    """No subtitle is longer than two lines, or shown for over 7 s."""
    words = tuple(Word(f"word{n}", n * 500, n * 500 + 400) for n in range(60))
    text = " ".join(word.text for word in words)
    segments = heard((Transcript(text, words), 0)).segments
    assert " ".join(segment.text for segment in segments) == text
    assert all(len(segment.text) <= 84 for segment in segments)
    assert all(segment.end_ms - segment.start_ms <= 7_000 for segment in segments)


SEGMENTS = [Segment("One & two", 0, 1_234), Segment("Three <b>", 3_661_001, 3_662_000)]


def test_srt() -> None:
    """Numbered, with commas."""
    assert srt(SEGMENTS) == (
        "1\n00:00:00,000 --> 00:00:01,234\nOne & two\n\n"
        "2\n01:01:01,001 --> 01:01:02,000\nThree <b>\n\n"
    )


def test_vtt() -> None:
    """With points, and its own characters escaped."""
    assert vtt(SEGMENTS) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.234\nOne &amp; two\n\n"
        "01:01:01.001 --> 01:01:02.000\nThree &lt;b&gt;\n\n"
    )


@pytest.mark.parametrize(
    ("granularities", "keys"),
    [
        ([], {"segments"}),
        (["segment"], {"segments"}),
        (["word"], {"words"}),
        (["word", "segment"], {"words", "segments"}),
    ],
)
def test_verbose_has_what_is_asked_for(granularities: list[str], keys: set[str]) -> None:
    """Segments, unless words alone are."""
    told = verbose(
        heard((Transcript("Good morning. Yes", WORDS, "en"), 0)), 2.0, granularities, "transcribe"
    )
    assert told.keys() - {"task", "language", "duration", "text"} == keys
    assert (told["language"], told["duration"]) == ("en", 2.0)


_texts = st.text("ab .。,!", min_size=1, max_size=8)


@given(
    st.lists(
        st.tuples(st.lists(_texts, max_size=6), st.lists(_texts, max_size=6), st.booleans()),
        max_size=5,
    )
)
def test_any_transcripts_can_be_told(windows: list[tuple[list[str], list[str], bool]]) -> None:
    """Words that are not in the text, or in another order; segments stay in order, with text."""
    result = Heard()
    for at, (texts, words, same) in enumerate(windows):
        spoken = texts if same else words
        placed = tuple(Word(word, n * 100, n * 100 + 50) for n, word in enumerate(spoken))
        result.add(Transcript(" ".join(texts), placed), at * 5_000, at * 5_000 + 4_000)
    assert all(segment.text.strip() == segment.text != "" for segment in result.segments)
    starts = [segment.start_ms for segment in result.segments]
    assert starts == sorted(starts)
    assert len(re.findall(" --> ", srt(result.segments))) == len(result.segments)
