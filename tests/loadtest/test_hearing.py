"""What a caller hears, and what of it is wrong."""

from __future__ import annotations

import pytest

from clients.events import (
    Audio,
    Event,
    Final,
    Flush,
    Partial,
    Ready,
    ReplyDone,
    ReplyResumed,
    ReplyStarted,
    ReplyText,
    ServerError,
    Timings,
)
from loadtest.hearing import LEAK, Hearing, Problem
from loadtest.marks import marks_of
from tests.loadtest.test_marks import tone

OWN, OTHER = marks_of(1), marks_of(2)


def heard(*events: Event, timed: bool = True) -> Hearing:
    """A caller who said something, and then was sent these, one each 10 ms."""
    hearing = Hearing(OWN, timed=timed)
    hearing.begin_turn()
    for index, event in enumerate(events):
        hearing.handle(event, index / 100)
    return hearing


def voice(hz: int, at: float = 0.0, seconds: float = 0.3) -> Audio:
    """Audio of the first reply."""
    return Audio(tone(hz, 24_000, seconds), 24_000, "r1", at)


def test_a_reply_of_ones_own_is_no_problem() -> None:
    """Its text, its times and when it became audible are known."""
    hearing = heard(
        Ready("c", None, None, "opus", None, "pcm16"),
        Final(f"{OWN.tone_hz} is what I am called", 0, 900),
        ReplyStarted("r1"),
        ReplyText("r1", "You said "),
        ReplyText("r1", f"{OWN.word}."),
        voice(OWN.voice_hz, at=2.0),
        Timings("r1", 500.0, 80.0, 60.0, 100.0, 300.0),
        ReplyDone("r1", "completed", f"You said {OWN.word}."),
    )
    assert hearing.problems() == []
    assert hearing.ready == 1
    assert hearing.audible
    assert hearing.reply is not None
    assert (hearing.reply.text, hearing.reply.status) == (f"You said {OWN.word}.", "completed")
    assert hearing.reply.stages["stt_ms"] == 80
    assert hearing.reply.player.audible_at == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    "event",
    [
        Partial(f"my word is {OTHER.word}"),
        Final(f"{OTHER.tone_hz} is what I am called", 0, 900),
        ReplyDone("r1", "completed", f"You said {OTHER.word}."),
        ServerError("failed", f"could not say {OTHER.word}"),
        voice(OTHER.voice_hz),
    ],
)
def test_anothers_word_tone_or_voice_is_a_leak(event: Event) -> None:
    """Wherever it comes, and once."""
    hearing = heard(ReplyStarted("r1"), event, event)
    assert [problem.kind for problem in hearing.problems()].count(LEAK) == 1
    assert hearing.problems() == []


def test_a_word_in_pieces_is_a_leak_too() -> None:
    """Models write in pieces of words."""
    hearing = heard(
        ReplyStarted("r1"), ReplyText("r1", OTHER.word[:4]), ReplyText("r1", OTHER.word[4:])
    )
    assert [problem.kind for problem in hearing.problems()] == [LEAK]


def test_with_backends_that_do_not_tell_callers_apart_only_words_count() -> None:
    """A real voice has no tone, and a year is not a caller."""
    events = (ReplyStarted("r1"), ReplyText("r1", "In 2850."), voice(OTHER.voice_hz))
    assert heard(*events, timed=False).problems() == []


def test_audio_after_a_flush_is_wrong_until_the_reply_goes_on() -> None:
    """What a resumed reply sends is not."""
    before = (ReplyStarted("r1"), voice(OWN.voice_hz), Flush("r1"))
    late = Problem("audio after flush", "of reply r1")
    assert heard(*before, voice(OWN.voice_hz)).problems() == [late]
    resumed = heard(*before, ReplyResumed("r1", 200), voice(OWN.voice_hz, at=9.0))
    assert resumed.problems() == []
    assert resumed.reply is not None
    assert resumed.reply.player.underruns == 0


def test_a_reply_to_nothing_is_unprompted() -> None:
    """The caller had its answer, and said nothing since."""
    hearing = heard(ReplyStarted("r1"))
    hearing.end_turn()
    hearing.handle(ReplyStarted("r2"), 1.0)
    assert [problem.kind for problem in hearing.problems()] == ["unprompted reply"]


def test_errors_and_failed_replies_are_counted_by_what_the_server_says() -> None:
    """By the code."""
    hearing = heard(
        ServerError("stt_failed", "x"), ReplyStarted("r1"), ReplyDone("r1", "failed", "")
    )
    assert [p.kind for p in hearing.problems()] == ["error stt_failed", "failed reply"]
