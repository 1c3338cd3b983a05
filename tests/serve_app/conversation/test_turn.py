"""How turns and replies bear on each other: barge-in, time-outs, the end."""

from __future__ import annotations

import pytest

from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import (
    ReplyDone,
    ReplyFlushed,
    ReplyResumed,
    ReplyStarted,
    SpeechStarted,
    SpeechStopped,
)
from serve_app.conversation.commands import CancelReply, EndCall, Tell, WakeReply
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import WORDS, Playbook, asked_final, interrupted, started

# Barge-in


def test_barge_in_stops_the_sending() -> None:
    """From the pause on, nothing leaves."""
    play = interrupted()
    sent = len(play.sent)
    play.speech(320)
    play.silence(320)
    assert len(play.sent) == sent > 0


def test_short_noise_does_not_stop_the_agent() -> None:
    """Speech under 200 ms that holds no words leaves the reply alone."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.speech(192) >> [Tell(SpeechStarted(0))]
    play.silence(512) >> [asked_final(1, 0, 256), Tell(SpeechStopped(192))]
    sent = len(play.sent)
    play.transcript("") >> [Tell(say.FinalTranscript("", 0, 192))]
    play.wait(320) >> []
    assert len(play.sent) > sent


def test_short_word_interrupts() -> None:
    """Words decide, however short they are."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.speech(128)
    play.silence(64) >> [asked_final(1, 0, 192)]
    assert play.transcript("no")[0] == CancelReply("reply-1")


def test_words_cancel_the_reply_and_cut_its_history() -> None:
    """When words come the reply is over, and history keeps the words that were heard."""
    play = interrupted()
    play.transcript("wait") >> [
        CancelReply("reply-1"),
        Tell(ReplyDone("reply-1", "interrupted", "one two")),
    ]
    play.silence(64)
    play.transcript("wait")
    assert play.silence(448)[-2:] == [
        started("reply-2", ("user", "hi"), ("assistant", "one two"), ("user", "wait")),
        Tell(ReplyStarted("reply-2")),
    ]


def test_words_with_a_report_after_the_flush() -> None:
    """A report that comes between the pause and the words counts."""
    play = interrupted()
    play(ev.PlaybackReported("reply-1", 601)) >> []
    out = play.transcript("wait")
    assert out[-1] == Tell(ReplyDone("reply-1", "interrupted", "one two three"))


def test_no_words_resume_the_reply_where_it_was_heard() -> None:
    """An empty final lets the reply go on, from the clock's careful guess."""
    play = interrupted()
    play.transcript("") >> []
    play.silence(512) >> [asked_final(2, 64, 672), Tell(SpeechStopped(608))]
    before = len(play.sent)
    play.transcript("") >> [
        Tell(say.FinalTranscript("", 384, 608)),
        Tell(ReplyResumed("reply-1", 458)),
        WakeReply("reply-1"),
    ]
    play.wait(100)
    assert play.sent[before][1].start_ms == pytest.approx(458)


def test_no_words_resume_the_reply_where_the_client_says() -> None:
    """With a report the audio goes on from the sample the client stopped at."""
    play = interrupted()
    play(ev.PlaybackReported("reply-1", 600.5))
    play.silence(512)
    before = len(play.sent)
    assert play.transcript("")[1] == Tell(ReplyResumed("reply-1", 600))
    play.wait(0)
    assert play.sent[before][1].start_ms == 600.5


def test_failed_transcript_resumes_the_reply() -> None:
    """Nothing was understood, so nothing was said against it."""
    play = interrupted()
    play.silence(512)
    play.no_transcript() >> [
        Tell(say.CallError("stage_failed", "no", 608)),
        Tell(ReplyResumed("reply-1", 458)),
        WakeReply("reply-1"),
    ]


def test_words_against_a_thinking_reply_end_it() -> None:
    """What the caller adds before the answer comes is answered together with the rest."""
    play = Playbook(TurnPolicy())
    play.turn("hello")
    play.speech(224)
    play.transcript("wait") >> [
        CancelReply("reply-1"),
        Tell(ReplyDone("reply-1", "interrupted", "")),
    ]
    play.silence(64)
    play.transcript("wait")
    reply = play.silence(448)[-2]
    assert reply == started("reply-2", ("user", "hello"), ("user", "wait"))


def test_pause_with_a_candidate_there_asks_no_partial() -> None:
    """A reply that starts in a pause of the next turn is held; the candidate will decide."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(512)
    play.speech(320)
    play.silence(64)
    play.transcript("first", window_id=1)
    play.silence(32) >> [WakeReply("reply-1")]


def test_speculation_after_barge_in_knows_what_was_heard() -> None:
    """The words that start the speculative reply end the live one first."""
    play = Playbook(TurnPolicy(speculation="reply"))
    play.speaking(WORDS)
    play.silence(384)
    play.speech(224)
    play.silence(64)
    play.transcript("wait") >> [
        CancelReply("reply-1"),
        Tell(ReplyDone("reply-1", "interrupted", "one two")),
        started("reply-2", ("user", "hi"), ("assistant", "one two"), ("user", "wait")),
    ]


# What the client asks for


def test_commit_request_ends_the_turn_and_the_reply() -> None:
    """A commit whose transcript is there is answered at once, in place of the live reply."""
    play = interrupted()
    play.silence(64)
    play.transcript("wait")
    assert play(ev.CommitRequested())[-2:] == [
        started("reply-2", ("user", "hi"), ("assistant", "one two"), ("user", "wait")),
        Tell(ReplyStarted("reply-2")),
    ]


def test_commit_request_without_speech_leaves_the_reply() -> None:
    """It is an error to the client and nothing to the reply."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play(ev.CommitRequested()) >> [Tell(say.CallError("nothing_to_commit", "no speech was heard"))]


def test_config_changes_what_it_names() -> None:
    """Instructions and the endpoint change, each alone; voice and language are not decided here."""
    play = Playbook(TurnPolicy(), "be brief")
    play(ev.ConfigChanged(instructions="sing")) >> []
    play(ev.ConfigChanged(endpoint_ms=96)) >> []
    play(ev.ConfigChanged(voice="x", language="en")) >> []
    play.speech(320)
    assert Tell(SpeechStopped(320)) in play.silence(96)
    assert play.transcript("hi")[1] == started("reply-1", ("system", "sing"), ("user", "hi"))


# Time-outs


def expired(why: str) -> list[object]:
    """The call ends for this reason."""
    return [Tell(say.CallError("session_expired", why)), EndCall(1001)]


SILENT = expired("the caller was silent for too long")
TOO_LONG = expired("the call reached its longest allowed length")


def test_idle_caller() -> None:
    """Five minutes in which nobody speaks end the call, audio or not."""
    play = Playbook(TurnPolicy(idle_ms=10_000))
    play.silence(5_000) >> []
    play.wait(4_950) >> []
    play.wait(60) >> SILENT


@pytest.mark.parametrize("how", ["completed", "failed", "interrupted"])
def test_idle_counts_from_the_end_of_a_reply(how: str) -> None:
    """However a reply ended, the caller then has the full time."""
    play = Playbook(TurnPolicy(idle_ms=10_000))
    play.speaking("one")
    play.wait(60_000) >> []
    if how == "interrupted":
        play(ev.InterruptRequested())
    else:
        play(ev.ReplyFinished("reply-1", None if how == "completed" else ("stage_failed", "no")))
    play.wait(9_999) >> []
    play.wait(2) >> SILENT


def test_idle_counts_from_words_whose_turn_was_lost() -> None:
    """A caller whose final failed has spoken all the same."""
    play = Playbook(TurnPolicy(idle_ms=10_000))
    play.silence(9_000)
    play.speech(512)
    play.transcript("hello")
    play.silence(512)
    play.no_transcript()
    play.wait(9_000) >> []
    assert play.wait(1_000) == SILENT


def test_noise_does_not_keep_a_call() -> None:
    """Speech without words is no sign of a caller; but the call never ends inside a turn."""
    play = Playbook(TurnPolicy(idle_ms=2_000))
    play.silence(1_824)
    play.speech(320) >> [Tell(SpeechStarted(1824))]
    play.silence(512)
    play.transcript("") >> [Tell(say.FinalTranscript("", 1824, 2144))]
    play.wait(0) >> SILENT


def test_longest_call() -> None:
    """At its longest the call ends, in mid-reply too."""
    play = Playbook(TurnPolicy(max_call_ms=60_000))
    play.wait(59_000) >> []
    play.speaking(WORDS)
    out = play.wait(1_001)
    assert out == [TOO_LONG[0], CancelReply("reply-1"), *out[2:4], TOO_LONG[1]]
    assert out.told[-1] == ReplyDone("reply-1", "interrupted", "one two three four")


def test_deadline_of_a_silent_call_is_the_nearest_limit() -> None:
    """Idle or longest call, whichever comes first."""
    assert Playbook(TurnPolicy(idle_ms=5_000)).machine.deadline() == 105
    assert Playbook(TurnPolicy(max_call_ms=4_000)).machine.deadline() == 104


def test_early_tick_does_nothing() -> None:
    """A Tick before the deadline changes neither the call nor the deadline."""
    play = interrupted()
    deadline = play.machine.deadline()
    play(ev.Tick()) >> []
    assert play.machine.deadline() == deadline


# The end


def test_hang_up_in_mid_reply() -> None:
    """All work stops and the call closes normally."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play(ev.HangUp()) >> [
        CancelReply("reply-1"),
        Tell(ReplyFlushed("reply-1")),
        Tell(ReplyDone("reply-1", "interrupted", "")),
        EndCall(1000),
    ]


def test_dismissed_closes_with_its_code() -> None:
    """A client that broke a rule is closed with that rule's code."""
    play = Playbook(TurnPolicy())
    play(ev.Dismissed(1003)) >> [EndCall(1003)]


def test_nothing_after_the_end() -> None:
    """An ended call wants no tick and answers nothing, whatever comes."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play(ev.HangUp()) >> [EndCall(1000)]
    assert play.machine.ended
    assert play.machine.deadline() is None
    play.silence(512) >> []
    for event in (ev.TextTyped("hi"), ev.CommitRequested(), ev.HangUp(), ev.Tick()):
        play(event) >> []
