"""The agent's replies: started, cut off, paused, failed, and what history keeps of them."""

from __future__ import annotations

import pytest

from deployments.contracts import Message
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import (
    ReplyDone,
    ReplyFlushed,
    ReplyResumed,
    ReplyStarted,
    ReplyText,
    SpeechStarted,
    SpeechStopped,
)
from serve_app.conversation.commands import CancelReply, StartReply, Tell, WakeReply
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, asked, asked_final, done, interrupted, started, wrote


def contents(reply: StartReply) -> list[str]:
    """What a reply was asked to answer."""
    return [message.content for message in reply.messages]


# A reply from start to end


def test_typed_turn_is_answered() -> None:
    """Text, first sound, end: each is told; the next reply sees the one before."""
    play = Playbook(TurnPolicy(), "be brief")
    play(ev.TextTyped("hi")) >> [
        started("reply-1", ("system", "be brief"), ("user", "hi")),
        Tell(ReplyStarted("reply-1")),
    ]
    play(wrote("reply-1", "Hello ")) >> [Tell(ReplyText("reply-1", "Hello "))]
    play(wrote("reply-1", "there. ")) >> [Tell(ReplyText("reply-1", "there. "))]
    play.wait(70)
    play(ev.ReplySpeaking("reply-1", 30, 20)) >> [
        Tell(say.TurnTimings("reply-1", 0, 0, 30, 20, pytest.approx(70)))
    ]
    play(ev.ReplyFinished("reply-1")) >> [done("reply-1", "completed", "Hello there.")]
    play(ev.TextTyped("bye")) >> [
        started(
            "reply-2",
            ("system", "be brief"),
            ("user", "hi"),
            ("assistant", "Hello there."),
            ("user", "bye"),
        ),
        Tell(ReplyStarted("reply-2")),
    ]


def test_timings_of_a_spoken_turn() -> None:
    """Pause, transcript and pipeline are measured from the call's own times."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64)
    play.wait(50)
    play.transcript("hello")
    play.silence(448)
    play.wait(120)
    (told,) = play(ev.ReplySpeaking("reply-1", 60, 40)).told
    assert told == say.TurnTimings("reply-1", 512, pytest.approx(50), 60, 40, pytest.approx(120))


def test_instructions_can_change_in_the_call() -> None:
    """New instructions count from the next reply on."""
    play = Playbook(TurnPolicy(), "be brief")
    play(ev.ConfigChanged(instructions="sing")) >> []
    play(ev.TextTyped("hi"))
    assert play.replies["reply-1"].messages[0] == Message("system", "sing")


def test_unknown_reply_is_dropped() -> None:
    """Whatever is said of a reply that is not live, before, during and after one, does nothing."""
    play = Playbook(TurnPolicy())
    for known in range(3):
        for reply_id in ["reply-9", *list(play.replies)[:-1]]:
            play(wrote(reply_id, "x")) >> []
            play(ev.ReplySpeaking(reply_id, 1, 1)) >> []
            play(ev.ReplyFinished(reply_id)) >> []
            play(ev.ReplyFinished(reply_id, ("stage_failed", "no"))) >> []
            play(ev.PlaybackReported(reply_id, 100)) >> []
        assert len(play.replies) == known
        play.speaking("one two")


def test_finished_twice_is_done_once() -> None:
    """The second report of an end is stale."""
    play = Playbook(TurnPolicy())
    play.speaking("one")
    play(ev.ReplyFinished("reply-1")) >> [done("reply-1", "completed", "one")]
    play(ev.ReplyFinished("reply-1")) >> []
    play(wrote("reply-1", "two")) >> []


# Interrupting


def test_interrupt_request_cuts_at_a_word() -> None:
    """The reply is cancelled, its queued audio recalled, and history keeps what was heard."""
    play = Playbook(TurnPolicy())
    play.speaking("one two three four five")
    play.wait(600)
    play(ev.InterruptRequested()) >> [
        CancelReply("reply-1"),
        Tell(ReplyFlushed("reply-1")),
        done("reply-1", "interrupted", "one two"),
    ]
    play(ev.InterruptRequested()) >> []
    play(ev.TextTyped("go on"))
    assert contents(play.replies["reply-2"]) == ["hi", "one two", "go on"]


def test_interrupt_request_with_reports() -> None:
    """A client's report decides what was heard."""
    play = Playbook(TurnPolicy())
    play.speaking("one two three four five")
    play.wait(600)
    play(ev.PlaybackReported("reply-1", 610)) >> []
    out = play(ev.InterruptRequested())
    assert out[-1] == done("reply-1", "interrupted", "one two three")


def test_interrupt_request_before_the_first_sound() -> None:
    """A reply nobody heard is cancelled without a flush and leaves no trace."""
    play = Playbook(TurnPolicy())
    play(ev.TextTyped("hi"))
    play(wrote("reply-1", "Hello"))
    play(ev.InterruptRequested()) >> [CancelReply("reply-1"), done("reply-1", "interrupted")]
    play(ev.TextTyped("bye"))
    assert contents(play.replies["reply-2"]) == ["hi", "bye"]


def test_typed_turn_while_speaking() -> None:
    """A typed turn ends the reply before it."""
    play = Playbook(TurnPolicy())
    play.speaking("one two three four five")
    play.wait(400)
    play(ev.TextTyped("stop")) >> [
        CancelReply("reply-1"),
        Tell(ReplyFlushed("reply-1")),
        done("reply-1", "interrupted", "one"),
        started("reply-2", ("user", "hi"), ("assistant", "one"), ("user", "stop")),
        Tell(ReplyStarted("reply-2")),
    ]


# Paused by speech


def test_wait_for_words_is_bounded() -> None:
    """After 1.5 s without words the reply goes on, and this turn's speech pauses it no more."""
    play = interrupted()
    play.speech(1472) >> []
    play.speech(32) >> [Tell(ReplyResumed("reply-1", 458)), WakeReply("reply-1")]
    before = len(play.sent)
    play.speech(320) >> []
    assert len(play.sent) > before
    assert play.transcript("wait")[:2] == [CancelReply("reply-1"), Tell(ReplyFlushed("reply-1"))]


def test_no_words_let_the_reply_go_on() -> None:
    """At an empty final the reply goes on where it was surely heard."""
    play = interrupted()
    play.silence(512)
    assert play.transcript("")[1:] == [Tell(ReplyResumed("reply-1", 458)), WakeReply("reply-1")]
    assert not play.replies["reply-1"].playout.paused


def test_resume_is_told_only_of_what_was_flushed() -> None:
    """A second pause that finds the reply played out flushes nothing and resumes unseen."""
    play = interrupted()
    play.silence(512)
    play.transcript("")
    play.wait(3_000)
    assert play.speech(224)[1:] == [WakeReply("reply-1"), asked(3, 800, 1344, turn=2)]
    play.silence(512)
    assert play.transcript("")[1:] == [WakeReply("reply-1")]


def test_next_turn_may_pause_again() -> None:
    """A turn that held no words is forgotten: the next one pauses the reply anew."""
    play = interrupted()
    play.speech(1504)
    play.silence(512)
    play.transcript("", window_id=1)
    play.transcript("", window_id=2)
    play.voice("and so on and so on and so on")
    assert Tell(ReplyFlushed("reply-1")) in play.speech(256)


def test_speech_while_the_reply_is_thinking() -> None:
    """A reply without a sound yet is held, without a flush, and goes on without a resume."""
    play = Playbook(TurnPolicy())
    play(ev.TextTyped("hi"))
    play.speech(224) >> [Tell(SpeechStarted(0)), WakeReply("reply-1"), asked(1, 0, 224)]
    play.voice("one two")
    play.silence(512) >> [asked_final(2, 0, 288), Tell(SpeechStopped(224))]
    assert not play.sent
    play.transcript("") >> [Tell(say.FinalTranscript("", 0, 224)), WakeReply("reply-1")]
    play.wait(0)
    assert play.sent[0][1].start_ms == 0


def test_time_a_reply_was_paused_is_not_its_own() -> None:
    """Neither its time-out nor its timings count the pause."""
    play = Playbook(TurnPolicy())
    play(ev.TextTyped("hi"))
    play.wait(19_000)
    play.speech(224)
    play.silence(512)
    play.transcript("", window_id=2)
    play.wait(700) >> []
    (told,) = play(ev.ReplySpeaking("reply-1", 1, 1)).told
    assert told == say.TurnTimings("reply-1", 0, 0, 1, 1, pytest.approx(19_924))


def test_time_until_a_bounded_wait_ran_out_is_not_its_own() -> None:
    """The same where no words came in time and the caller still speaks."""
    play = Playbook(TurnPolicy())
    play(ev.TextTyped("hi"))
    play.speech(224 + 1_504)
    (told,) = play(ev.ReplySpeaking("reply-1", 1, 1)).told
    assert told == say.TurnTimings("reply-1", 0, 0, 1, 1, pytest.approx(228))


def test_interrupt_request_while_paused() -> None:
    """What was flushed is not flushed again."""
    play = interrupted()
    play(ev.InterruptRequested()) >> [
        CancelReply("reply-1"),
        Tell(ReplyDone("reply-1", "interrupted", "one two")),
    ]
    play.transcript("") >> []


def test_reply_that_ends_while_paused_does_not_come_back() -> None:
    """A failure during the pause ends it; the empty turn then resumes nothing."""
    play = interrupted()
    out = play(ev.ReplyFinished("reply-1", ("stage_failed", "no")))
    assert out.told[1] == ReplyDone("reply-1", "failed", "one two")
    play.silence(512)
    play.transcript("") >> [Tell(say.FinalTranscript("", 384, 608))]


# Failures


def test_failed_reply_keeps_what_was_heard() -> None:
    """A reply that breaks off is told as failed, with the error."""
    play = Playbook(TurnPolicy())
    play.speaking("one two")
    play(wrote("reply-1", " three"))
    play.wait(1000)
    play(ev.ReplyFinished("reply-1", ("stage_failed", "no"))) >> [
        Tell(say.CallError("stage_failed", "no")),
        done("reply-1", "failed", "one two"),
    ]
    play(ev.TextTyped("and"))
    assert contents(play.replies["reply-2"]) == ["hi", "one two", "and"]


def test_reply_without_a_voice_is_in_the_history_as_text() -> None:
    """No audio ever left: the client read the text, so it counts."""
    play = Playbook(TurnPolicy())
    play(ev.TextTyped("hi"))
    play(wrote("reply-1", "Hello there. "))
    play(ev.ReplyFinished("reply-1", ("stage_unavailable", "no voice"))) >> [
        Tell(say.CallError("stage_unavailable", "no voice")),
        done("reply-1", "failed", "Hello there."),
    ]


def test_failed_reply_that_was_recalled_whole_was_not_heard() -> None:
    """Audio that left and was called back makes no text count as read."""
    play = Playbook(TurnPolicy())
    play.speech(160)
    play.speaking("one two three")
    out = play.speech(64)
    assert Tell(ReplyFlushed("reply-1")) in out
    out = play(ev.ReplyFinished("reply-1", ("stage_failed", "no")))
    assert out[-1] == done("reply-1", "failed", "")


def test_overdue_reply_is_a_failure() -> None:
    """A reply without a sound 20 s after its start is given up, and its text was still read."""
    play = Playbook(TurnPolicy())
    play(ev.TextTyped("hi"))
    play(wrote("reply-1", "Hello"))
    play.wait(19_999) >> []
    play.wait(2) >> [
        CancelReply("reply-1"),
        Tell(say.CallError("stage_timeout", "the reply did not come in time")),
        done("reply-1", "failed", "Hello"),
    ]


def test_early_tick_leaves_the_reply() -> None:
    """A Tick meant for something else gives up neither a thinking nor a paused reply."""
    play = Playbook(TurnPolicy())
    play(ev.TextTyped("hi"))
    play.wait(19_000)
    play(ev.Tick()) >> []
    play = interrupted()
    play(ev.Tick()) >> []


def test_overdue_counts_from_the_reply_not_from_the_commit() -> None:
    """A transcript that took long leaves the reply its full time."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(512)
    play.wait(19_000) >> []
    play.transcript("hello")
    play.wait(19_999) >> []
    assert CancelReply("reply-1") in play.wait(2)


def test_speaking_reply_is_never_overdue() -> None:
    """Once it speaks a reply may take its time."""
    play = Playbook(TurnPolicy())
    play.speaking("one")
    play.wait(200_000) >> []
