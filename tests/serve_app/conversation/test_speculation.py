"""Replies that begin in a pause that may turn out short: held back, released, dropped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import (
    ReplyStarted,
    ReplyText,
)
from serve_app.conversation.commands import CancelReply, Tell, WakeReply
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, asked, asked_final, done, started, wrote

SPECULATIVE = TurnPolicy(speculation="reply", partial_every_ms=5_000)


def speculating() -> Playbook:
    """A candidate's transcript is there, and its reply begun."""
    play = Playbook(SPECULATIVE)
    play.speech(320)
    play.silence(64)
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]
    return play


def test_no_speculation_by_default() -> None:
    """Level off: a candidate's transcript starts nothing."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64)
    play.transcript("hello") >> []


def test_under_load_no_reply_is_begun_before_the_end_of_its_turn() -> None:
    """The transcript counts as the final all the same; the next turn finds room again."""
    play = Playbook(SPECULATIVE)
    play.speech(320)
    play.silence(64)
    play.transcript("hello", room=False) >> []
    play.silence(416) >> []
    play.silence(32) >> [
        Tell(say.SpeechStopped(320)),
        Tell(say.FinalTranscript("hello", 0, 320)),
        started("reply-1", ("user", "hello")),
        Tell(ReplyStarted("reply-1")),
    ]
    assert play.machine.speculation.started == 0
    play(ev.ReplyFinished("reply-1"))
    play.speech(320)
    play.silence(64)
    play.transcript("again")
    assert play.machine.speculation.started == 1


def test_load_drops_no_reply_that_was_begun() -> None:
    """What it cost is spent."""
    play = speculating()
    play.transcript("hello", room=False) >> []
    assert play.machine.speculation.dropped == 0


def test_speculative_reply_is_held_until_the_commit() -> None:
    """Nothing of it is told or may leave before; at the commit all of it is."""
    play = speculating()
    playout = play.replies["reply-1"].playout
    play(wrote("reply-1", "Hi ")) >> []
    play(wrote("reply-1", "you.")) >> []
    play.voice("Hi you.")
    play.silence(416) >> []
    assert not playout.released
    assert not play.sent
    play.silence(32) >> [
        Tell(say.SpeechStopped(320)),
        Tell(say.FinalTranscript("hello", 0, 320)),
        Tell(ReplyStarted("reply-1")),
        Tell(ReplyText("reply-1", "Hi you.")),
        WakeReply("reply-1"),
    ]
    play.wait(0)
    assert playout.released
    assert play.sent
    play(wrote("reply-1", " Bye.")) >> [Tell(ReplyText("reply-1", " Bye."))]
    play(ev.ReplyFinished("reply-1")) >> [done("reply-1", "completed", "Hi you. Bye.")]


def test_speculative_reply_that_wrote_nothing_yet() -> None:
    """Released before its first word, it tells no empty text."""
    play = speculating()
    assert play.silence(448)[-1] == WakeReply("reply-1")


def test_speculative_reply_is_dropped_when_the_caller_goes_on() -> None:
    """Its work stops, nothing was told of it, and history never knew it."""
    play = speculating()
    play(wrote("reply-1", "Hi")) >> []
    play.speech(64) >> [CancelReply("reply-1")]
    play(wrote("reply-1", " you")) >> []
    play.silence(64) >> [asked_final(2, 0, 512)]
    play.transcript("hello world") >> [started("reply-2", ("user", "hello world"))]
    told = play.silence(448).told
    assert [type(one) for one in told] == [say.SpeechStopped, say.FinalTranscript, ReplyStarted]


def test_speculation_stops_after_its_revisions() -> None:
    """After three pauses the caller went on from, the turn's reply waits for the commit."""
    play = Playbook(SPECULATIVE)
    play.speech(320)
    for number in range(1, 4):
        play.silence(64)
        play.transcript("and") >> [started(f"reply-{number}", ("user", "and"))]
        play.speech(64) >> [CancelReply(f"reply-{number}")]
    play.silence(64)
    play.transcript("and so") >> []
    assert play.silence(448)[-2:] == [
        started("reply-4", ("user", "and so")),
        Tell(ReplyStarted("reply-4")),
    ]


def test_no_revisions_no_speculation() -> None:
    """A bound of none speculates never."""
    play = Playbook(TurnPolicy(speculation="reply", max_revisions=0))
    play.speech(320)
    play.silence(64)
    play.transcript("hello") >> []


def test_empty_candidate_starts_nothing() -> None:
    """There is nothing to answer."""
    play = Playbook(SPECULATIVE)
    play.speech(320)
    play.silence(64)
    play.transcript("") >> []


def test_failed_speculative_reply_is_started_again_at_the_commit() -> None:
    """It fails in silence, is not tried at each frame, and the turn is answered all the same."""
    play = speculating()
    play(ev.ReplyFinished("reply-1", ("stage_failed", "no"))) >> []
    play.silence(416) >> []
    assert play.silence(32)[-2:] == [
        started("reply-2", ("user", "hello")),
        Tell(ReplyStarted("reply-2")),
    ]


def test_typed_turn_drops_the_speculative_reply() -> None:
    """It did not know of the typed turn; the caller's own is answered anew."""
    play = speculating()
    play(ev.TextTyped("wait")) >> [
        CancelReply("reply-1"),
        started("reply-2", ("user", "wait")),
        Tell(ReplyStarted("reply-2")),
    ]
    # The turn is still open, so the typed turn's reply is paused as by any speech.
    play.silence(32) >> [
        WakeReply("reply-2"),
        started("reply-3", ("user", "wait"), ("user", "hello")),
    ]
    out = play.silence(416)
    assert out[2:5] == [
        CancelReply("reply-2"),
        done("reply-2", "interrupted"),
        Tell(ReplyStarted("reply-3")),
    ]


def test_speculative_reply_to_what_is_no_longer_so_is_started_again() -> None:
    """Instructions that changed in the pause hold for the reply."""
    play = speculating()
    play(ev.ConfigChanged(instructions="sing")) >> []
    assert play.silence(448)[2:] == [
        CancelReply("reply-1"),
        started("reply-2", ("system", "sing"), ("user", "hello")),
        Tell(ReplyStarted("reply-2")),
    ]


def test_hang_up_cancels_the_speculative_reply() -> None:
    """Nothing is left running."""
    play = speculating()
    assert play(ev.HangUp())[0] == CancelReply("reply-1")


def test_speculative_text_has_no_voice_before_the_commit() -> None:
    """Level llm: the model is asked in the pause; no phrase is worth speaking until released."""
    play = Playbook(TurnPolicy(speculation="llm", partial_every_ms=5_000))
    play.speech(320)
    play.silence(64)
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]
    playout = play.replies["reply-1"].playout
    assert not playout.wants_more
    play.silence(448)
    assert playout.wants_more


def test_long_turns_are_not_speculated_on() -> None:
    """A bound on speech; the reply starts at the commit."""
    play = Playbook(TurnPolicy(speculation="reply", partial_every_ms=5_000, max_speculated_ms=300))
    play.speech(320)
    play.silence(64)
    play.transcript("hello") >> []
    assert play.silence(448)[-2] == started("reply-1", ("user", "hello"))


def test_the_waste_is_counted() -> None:
    """Each reply begun ahead of its commit, and each of them that nobody will hear."""
    play = speculating()
    play.speech(64)
    play.silence(64)
    play.transcript("hello world")
    play.silence(448)
    assert (play.machine.speculation.started, play.machine.speculation.dropped) == (2, 1)
    play(ev.ReplyFinished("reply-2", ("stage_failed", "no")))
    assert play.machine.speculation.dropped == 1


def test_a_held_reply_that_failed_or_came_too_late_is_waste() -> None:
    """Failed in the pause, or overtaken by the end of the call."""
    play = speculating()
    play(ev.ReplyFinished("reply-1", ("stage_failed", "no")))
    assert play.machine.speculation.dropped == 1
    other = speculating()
    other(ev.HangUp())
    assert other.machine.speculation.dropped == 1


INCREMENTAL = TurnPolicy(speculation="reply", partial_every_ms=5_000, incremental_stt=True)


def incremental() -> Playbook:
    """The pause was fed to a recogniser with state; its hypothesis is answered."""
    play = Playbook(INCREMENTAL)
    play.speech(320)
    play.silence(64) >> [asked(1, 0, 384)]
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]
    return play


def test_the_hypothesis_at_the_pause_is_answered() -> None:
    """The commit finishes the recogniser; the reply waits for that, and is released by it."""
    play = incremental()
    play.silence(448) >> [asked_final(2, 0, 384), Tell(say.SpeechStopped(320))]
    assert not play.replies["reply-1"].playout.released
    play.transcript("hello") >> [
        Tell(say.FinalTranscript("hello", 0, 320)),
        Tell(ReplyStarted("reply-1")),
        WakeReply("reply-1"),
    ]
    assert play.machine.speculation.dropped == 0


def test_a_final_that_differs_drops_the_reply() -> None:
    """The turn is answered anew."""
    play = incremental()
    play.silence(448)
    assert play.transcript("hello you")[1:] == [
        CancelReply("reply-1"),
        started("reply-2", ("user", "hello you")),
        Tell(ReplyStarted("reply-2")),
    ]
    assert play.machine.speculation.dropped == 1


@pytest.mark.parametrize("text", ["", None])
def test_a_final_without_words_drops_the_reply(text: str | None) -> None:
    """None came, or none at all."""
    play = incremental()
    play.silence(448)
    out = play.no_transcript() if text is None else play.transcript(text)
    assert out[-1] == CancelReply("reply-1")


def test_speech_after_the_hypothesis_drops_the_reply() -> None:
    """And counts as a revision, as any."""
    play = incremental()
    play.speech(64) >> [CancelReply("reply-1")]
    play.silence(64) >> [asked(2, 0, 512)]
    assert play.transcript("hello world")[-1] == started("reply-2", ("user", "hello world"))


def test_a_hypothesis_of_less_than_was_said_is_no_guess() -> None:
    """A partial that was asked for in mid-speech comes in the pause."""
    play = Playbook(replace(INCREMENTAL, partial_every_ms=100))
    play.speech(320)
    play.silence(64)
    play.transcript("hel", 1) >> []


def test_a_caller_who_goes_on_while_the_final_is_awaited() -> None:
    """The reply to the turn before waits all the same."""
    play = incremental()
    play.silence(448)
    play.speech(96) >> [Tell(say.SpeechStarted(832))]
    assert Tell(ReplyStarted("reply-1")) in play.transcript("hello", 2)
