"""Pauses that somebody listens to: complete turns end soon, others get time; dictation too."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import SpeechStarted, SpeechStopped
from serve_app.conversation.commands import CancelReply, JudgePause, Tell
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, answered, asked, asked_final, started, told_final

JUDGED = TurnPolicy(endpoint_ms=200, judged_pauses=True, partial_every_ms=5_000)
NUMBERS = (
    "five", "five five", "one two three four", "oh seven", "nineteen", "forty two", "double six",
    "0171", "555-0199", "three hundred", "zero", "eight. Nine.", "twenty-one", "four point",
    "My number is seven", "it's 30", "six six six", "a b c", "J-O-H-N", "room two",
)  # fmt: skip
"""Twenty groups of a dictation, as recognisers write them."""


def paused(words: str | None, policy: TurnPolicy = JUDGED) -> Playbook:
    """320 ms of speech, then 64 ms of silence; its transcript is there if it has words."""
    play = Playbook(policy)
    play.speech(320)
    play.silence(64) >> [JudgePause(1, 0, 384), asked_final(1, 0, 384)]
    if words is not None:
        play.transcript(words)
    return play


def stopped_after(play: Playbook, limit_ms: int = 3_000) -> int:
    """Silence until the turn is over; how long its pause was. The pause so far is 64 ms."""
    for pause_ms in range(96, limit_ms, 32):
        if any(isinstance(told, SpeechStopped) for told in play.silence(32).told):
            return pause_ms
    raise AssertionError("the turn never ended")


def test_the_pause_alone_asks_nobody() -> None:
    """Without a judge there is nothing to ask."""
    play = Playbook(TurnPolicy())
    play.turn("hello")
    assert play.pauses == []


def test_a_complete_turn_ends_at_the_endpoint() -> None:
    """Its transcript and its reply are those of the pause."""
    play = paused("hello")
    play.judged(0.9) >> []
    play.silence(128) >> []
    play.silence(32) >> [
        Tell(SpeechStopped(320)),
        told_final("hello", 0, 320),
        *answered("reply-1", "hello"),
    ]


def test_an_incomplete_turn_waits() -> None:
    """Up to the longest pause; its transcript is not asked for again."""
    play = paused("I would like to")
    play.judged(0.2) >> []
    assert stopped_after(play) == 1_504
    assert len(play.windows) == 1


def test_an_unjudged_turn_ends_in_between() -> None:
    """No verdict comes, or one that says nobody can tell."""
    assert stopped_after(paused("hello")) == 512
    play = paused("hello")
    play.judged(None) >> []
    assert stopped_after(play) == 512


def test_a_late_verdict_ends_the_turn_at_once() -> None:
    """Without waiting for the next frame."""
    play = paused("hello")
    play.silence(256) >> []
    assert play.judged(0.9)[0] == Tell(SpeechStopped(320))


def test_late_words_end_the_turn_at_once() -> None:
    """The verdict was there before them."""
    play = paused(None)
    play.judged(0.9) >> []
    play.silence(256) >> []
    assert play.transcript("hello")[0] == Tell(SpeechStopped(320))


def test_words_are_not_waited_for_any_longer_than_a_verdict() -> None:
    """A slow recogniser: the turn ends, and its transcript comes when it comes."""
    play = paused(None)
    play.judged(0.9) >> []
    assert stopped_after(play) == 512
    play.transcript("hello") >> [told_final("hello", 0, 320), *answered("reply-1", "hello")]


def test_words_that_failed_are_not_waited_for() -> None:
    """The commit asks again."""
    play = paused(None)
    play.judged(0.9) >> []
    play.no_transcript() >> []
    play.silence(128) >> []
    play.silence(32) >> [asked_final(2, 0, 544), Tell(SpeechStopped(320))]


def test_a_sound_without_words_is_over_soon() -> None:
    """However incomplete it sounds."""
    play = paused("")
    play.judged(0.1) >> []
    assert stopped_after(play) == 224


def test_each_pause_is_judged_anew() -> None:
    """The caller goes on: the verdict before counts no more, and a late one of it is void."""
    play = paused("hello")
    play.judged(0.9) >> []
    play.speech(96)
    play.silence(64) >> [JudgePause(2, 0, 544), asked_final(2, 0, 544)]
    play.transcript("hello there") >> []
    play.judged(0.9, pause_id=1) >> []
    assert stopped_after(play) == 512


def test_a_click_in_a_pause_asks_no_second_verdict() -> None:
    """It is the same pause still."""
    play = paused("hello")
    play.judged(0.2)
    play.speech(32)
    play.silence(320) >> []
    assert len(play.pauses) == 1


def test_a_verdict_of_a_turn_that_is_over_is_dropped() -> None:
    """The client ended it; the next turn has its own pauses."""
    play = paused("hello")
    play(ev.CommitRequested())
    play.judged(0.9) >> []
    play.speech(320)
    play.silence(64)
    assert play.pauses[-1].pause_id == 2
    play.judged(0.9, pause_id=1) >> []
    play.transcript("and more")
    assert stopped_after(play) == 512


def test_a_long_turn_is_judged_by_its_last_seconds() -> None:
    """A judge listens to no more than eight."""
    play = Playbook(JUDGED)
    play.speech(12_000)
    play.silence(64)
    [pause] = play.pauses
    assert pause.end_ms - pause.start_ms == 8_000


def test_the_client_may_ask_for_a_longer_pause() -> None:
    """No verdict makes it shorter."""
    play = Playbook(JUDGED)
    play(ev.ConfigChanged(endpoint_ms=800))
    play.speech(320)
    play.silence(64)
    play.transcript("hello")
    play.judged(0.9)
    assert stopped_after(play) == 800


def test_an_incomplete_pause_holds_its_speculative_reply() -> None:
    """It waits with the turn, and is dropped if the caller goes on after all."""
    play = paused(None, replace(JUDGED, speculation="reply"))
    play.transcript("I would like to") >> [started("reply-1", ("user", "I would like to"))]
    play.judged(0.2) >> []
    play.silence(1_280) >> []
    play.speech(64) >> [CancelReply("reply-1")]


def test_a_recogniser_with_state_is_waited_for_too() -> None:
    """Its partial at the pause has the words; its final is asked for at the commit."""
    play = Playbook(replace(JUDGED, incremental_stt=True))
    play.speech(320) >> [Tell(SpeechStarted(0))]
    play.silence(64) >> [JudgePause(1, 0, 384), asked(1, 0, 384)]
    play.judged(0.9) >> []
    play.silence(160) >> []
    play.transcript("hello") >> [asked_final(2, 0, 384), Tell(SpeechStopped(320))]


def test_the_longest_turn_is_cut_all_the_same() -> None:
    """A verdict does not lengthen it."""
    play = Playbook(replace(JUDGED, max_turn_ms=960))
    play.speech(640)
    play.silence(64)
    play.transcript("I would like to")
    play.judged(0.1)
    assert stopped_after(play) == 320


@pytest.mark.parametrize(
    "policy",
    [TurnPolicy(), TurnPolicy(incremental_stt=True), JUDGED, replace(JUDGED, speculation="reply")],
    ids=["silence", "silence, recogniser with state", "judged", "judged, speculative"],
)
def test_twenty_dictated_numbers_are_not_cut(policy: TurnPolicy) -> None:
    """Gaps of 700 ms, each group sounding complete: one turn, one final, one reply."""
    play, random = Playbook(policy), Random(3)
    said = ""
    for group in NUMBERS:
        play.speech(random.randrange(300, 900))
        said = f"{said} {group}".strip()
        gap_ms = 0
        while gap_ms < 700:
            gap_ms += 32
            play.silence(32)
            if gap_ms == 160 and play.windows:
                play.transcript(said)
            if gap_ms == 128 and play.pauses:
                play.judged(0.99)
    assert not [told for told in play.all.told if isinstance(told, SpeechStopped)]
    play.silence(544)
    play.transcript(said)
    finals = [told.text for told in play.all.told if isinstance(told, say.FinalTranscript)]
    assert finals == [said]


def test_words_after_digits_end_the_patience() -> None:
    """Five o'clock is no number that goes on."""
    assert stopped_after(paused("five", TurnPolicy(endpoint_ms=200, judged_pauses=True))) == 1_216
    play = paused("at five o'clock")
    play.judged(0.9)
    assert stopped_after(play) == 224


def test_an_old_partial_does_not_hide_the_words_of_the_pause() -> None:
    """It comes after the candidate's transcript, and knows less."""
    play = Playbook(replace(JUDGED, partial_every_ms=300))
    play.speech(320)
    play.silence(64)
    assert [window.final for window in play.windows] == [False, True]
    play.transcript("it is five") >> []
    play.transcript("it is", window_id=1) >> []
    play.judged(0.9)
    assert stopped_after(play) == 1_216
