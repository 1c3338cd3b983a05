"""serve_app.conversation.finals"""

from __future__ import annotations

import pytest

from deployments.contracts import Transcript, Word
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import Command, Tell
from serve_app.conversation.finals import Final, Finals, HeardTurn

TIMEOUT_S = 5.0
SPEECH_MS = (1_200, 1_900)


@pytest.fixture
def out() -> list[Command]:
    """What the client is told."""
    return []


@pytest.fixture
def finals(out: list[Command]) -> Finals:
    """Nothing committed yet."""
    return Finals(TIMEOUT_S, out)


def final(window_id: int, text: str | None = None) -> Final:
    """Asked for at 10 s; with `text` it is there already, after 100 ms."""
    asked = Final(window_id, window_id, 1_000, 2_000, asked_at=10.0)
    if text is not None:
        asked.settle(Transcript(text), 10.1)
    return asked


def told(text: str) -> Tell:
    """A final transcript without words."""
    return Tell(say.FinalTranscript(text, *SPEECH_MS))


def test_a_turn_is_complete_with_its_transcript(finals: Finals, out: list[Command]) -> None:
    """Told once, handed over once, timed from the asking."""
    finals.commit(final(1), SPEECH_MS, 224, now=10.2)
    assert finals.awaited
    assert out == []
    assert finals.transcribed(1, Transcript("hello"), 10.25)
    assert out == [told("hello")]
    assert finals.take_complete() == [
        HeardTurn(1, "hello", 10.2, 224, pytest.approx(250), "turn-1900")
    ]
    assert finals.take_complete() == []
    assert not finals.awaited


def test_word_times_are_of_the_call(finals: Finals, out: list[Command]) -> None:
    """They were the window's."""
    finals.commit(final(1), SPEECH_MS, 224, now=10.2)
    finals.transcribed(1, Transcript("hello", (Word("hello", 200, 700),)), 10.25)
    words = (Word("hello", 1_200, 1_700),)
    assert out == [Tell(say.FinalTranscript("hello", 1_200, 1_900, words))]


def test_an_early_transcript_waits_for_the_turn_before(finals: Finals, out: list[Command]) -> None:
    """Callers are answered in the order they spoke."""
    finals.commit(final(1), SPEECH_MS, 224, now=10.2)
    finals.commit(final(2, "second"), SPEECH_MS, 224, now=11.0)
    assert out == []
    finals.transcribed(1, Transcript("first"), 11.1)
    assert out == [told("first"), told("second")]
    assert [turn.text for turn in finals.take_complete()] == ["first", "second"]


def test_a_failed_turn_holds_up_no_other(finals: Finals, out: list[Command]) -> None:
    """The client is told of it; the next is complete."""
    finals.commit(final(1), SPEECH_MS, 224, now=10.2)
    finals.commit(final(2, "second"), SPEECH_MS, 224, now=11.0)
    assert finals.failed(ev.TranscriptFailed(1, "stage_failed", "no"))
    assert out == [Tell(say.CallError("stage_failed", "no", 1_900)), told("second")]


def test_a_turn_without_words_is_told_but_not_handed_over(
    finals: Finals, out: list[Command]
) -> None:
    """There is nothing to answer."""
    finals.commit(final(1, ""), SPEECH_MS, 224, now=10.2)
    assert out == [told("")]
    assert finals.take_complete() == []


def test_what_nobody_waits_for_is_not_taken(finals: Finals, out: list[Command]) -> None:
    """It may belong to the open turn."""
    assert not finals.transcribed(1, Transcript("hello"), 10.0)
    assert not finals.failed(ev.TranscriptFailed(1, "stage_failed", "no"))
    assert out == []


def test_an_overdue_transcript_is_given_up(finals: Finals, out: list[Command]) -> None:
    """Each turn has its own time, and the earliest is the deadline."""
    assert finals.deadline() is None
    finals.commit(final(1), SPEECH_MS, 224, now=10.2)
    finals.commit(final(2), SPEECH_MS, 224, now=11.0)
    assert finals.deadline() == pytest.approx(15.2)
    finals.tick(15.1)
    assert out == []
    finals.tick(15.2)
    assert out == [Tell(say.CallError("stage_timeout", "no transcript came in time", 1_900))]
    assert finals.deadline() == pytest.approx(16.0)
