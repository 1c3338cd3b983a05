"""Replies that begin at a drop of the level, before the voice detector knows of any pause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import ReplyStarted
from serve_app.conversation.commands import CancelReply, Tell, WakeReply
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, asked, asked_final, started, told_final

SPECULATIVE = TurnPolicy(speculation="reply", partial_every_ms=5_000)
INCREMENTAL = replace(SPECULATIVE, incremental_stt=True)


def dropped(policy: TurnPolicy = SPECULATIVE) -> Playbook:
    """The level fell at 305 ms; the detector still hears voice for 32 ms more."""
    play = Playbook(policy)
    play.speech(320)
    play.drop() >> [asked_final(1, 0, 320)]
    play.speech(32) >> []
    return play


def answered(policy: TurnPolicy = SPECULATIVE) -> Playbook:
    """And the transcript of the drop is answered."""
    play = dropped(policy)
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]
    return play


# The end of the turn


def test_the_transcript_of_the_drop_is_the_final_of_the_commit() -> None:
    """Its window ended in the quiet, so nothing is transcribed twice; the commit is as ever."""
    play = answered()
    play.silence(480) >> []
    play.silence(32) >> [
        Tell(say.SpeechStopped(352)),
        told_final("hello", 0, 352),
        Tell(ReplyStarted("reply-1")),
        WakeReply("reply-1"),
    ]
    assert play.machine.speculation.dropped == 0


def test_a_transcript_of_the_drop_that_comes_in_the_pause() -> None:
    """It is not asked for again meanwhile."""
    play = dropped()
    play.silence(96) >> []
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]


def test_voice_that_ends_before_the_drop() -> None:
    """The detector was the first to be silent."""
    play = Playbook(SPECULATIVE)
    play.speech(320)
    play.silence(32) >> []
    play.drop() >> [asked_final(1, 0, 352)]
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]
    play.silence(448) >> []
    assert Tell(ReplyStarted("reply-1")) in play.silence(32)


def test_a_drop_in_a_pause_asks_for_nothing() -> None:
    """The pause's transcript covers it."""
    play = Playbook(SPECULATIVE)
    play.speech(320)
    play.silence(64) >> [asked_final(1, 0, 384)]
    play.drop() >> []


def test_what_the_client_commits_in_the_quiet_is_known_already() -> None:
    """The window of the drop holds all of it."""
    play = answered()
    assert Tell(ReplyStarted("reply-1")) in play(ev.CommitRequested())


# The caller goes on


def test_a_rise_drops_the_reply_at_once() -> None:
    """Before the detector would: the commit is no nearer."""
    play = answered()
    play.rise() >> [CancelReply("reply-1")]
    play.speech(320) >> []
    play.silence(64) >> [asked_final(2, 0, 736)]
    play.transcript("hello world") >> [started("reply-2", ("user", "hello world"))]


def test_a_transcript_that_comes_after_the_rise_is_a_partial_one() -> None:
    """It begins nothing, and its words are shown once they are agreed on."""
    play = dropped()
    play.rise() >> []
    play.transcript("what is") >> []
    play.speech(320) >> []
    play.drop() >> [asked_final(2, 0, 672)]
    play.rise() >> []
    assert play.transcript("what is the").told == [say.PartialTranscript("what is")]


def test_voice_that_does_not_fade_is_heard_again() -> None:
    """Where the detector hears it for long after the drop, the window may lack something."""
    play = answered()
    play.speech(64) >> []
    play.speech(32) >> [CancelReply("reply-1")]
    play.silence(64) >> [asked_final(2, 0, 512)]
    play.transcript("hello") >> [started("reply-2", ("user", "hello"))]


def test_a_rise_before_the_voice_ended_has_it_transcribed_again() -> None:
    """What was said after the window would be lost."""
    play = dropped()
    play.rise() >> []
    play.speech(32) >> []
    play.transcript("hello") >> []
    play.silence(64) >> [asked_final(2, 0, 448)]


# Noises


def test_a_noise_in_the_pause_leaves_the_reply() -> None:
    """Until the detector says it is voice."""
    play = answered()
    play.silence(128) >> []
    play.rise() >> []
    play.silence(320) >> []
    assert Tell(ReplyStarted("reply-1")) in play.silence(64)


def test_voice_in_the_pause_drops_the_reply() -> None:
    """As without the level."""
    play = answered()
    play.silence(128) >> []
    play.rise() >> []
    play.speech(64) >> [CancelReply("reply-1")]


def test_no_reply_begins_while_a_sound_may_be_voice() -> None:
    """A transcript that comes then waits until it is known: 96 ms."""
    play = dropped()
    play.silence(96) >> []
    play.rise() >> []
    play.transcript("hello") >> []
    play.silence(64) >> []
    play.silence(32) >> [started("reply-1", ("user", "hello"))]


# What it may cost


def test_under_load_a_drop_is_nothing() -> None:
    """As the last transcript said; the pause asks for one as ever."""
    play = Playbook(replace(SPECULATIVE, partial_every_ms=200))
    play.speech(320)
    play.transcript("hel", room=False)
    play.drop() >> []
    play.silence(64) >> [asked_final(2, 0, 384)]


def test_without_speculation_a_drop_is_nothing() -> None:
    """Nothing is asked for before the pause."""
    play = Playbook(TurnPolicy(partial_every_ms=5_000))
    play.speech(320)
    play.drop() >> []
    play.silence(64) >> [asked_final(1, 0, 384)]
    play.rise() >> []
    play.transcript("hello") >> []


def test_a_drop_outside_a_turn_is_nothing() -> None:
    """There is nothing to transcribe."""
    play = Playbook(SPECULATIVE)
    play.speech(64)
    play.drop() >> []
    play.silence(640) >> []


def test_drops_are_few_in_a_given_time() -> None:
    """One transcript for each 250 ms of speech; unused ones add up."""
    play = Playbook(SPECULATIVE)
    play.speech(320)
    asks: list[int] = []
    for _ in range(6):
        asks.append(len(play.drop()))
        play.rise()
    assert asks == [1, 1, 0, 0, 0, 0]
    play.speech(640)
    assert play.drop() == [asked_final(3, 0, 960)]


def test_drops_use_up_no_revisions() -> None:
    """The real end is answered however many closures came before it."""
    play = Playbook(replace(SPECULATIVE, max_revisions=1, revision_every_ms=60_000))
    for number in range(1, 5):
        play.speech(320)
        play.drop()
        play.transcript("so")
        assert play.rise() == [CancelReply(f"reply-{number}")]
    assert play.machine.speculation.dropped == 4
    play.speech(320)
    play.drop()
    play.transcript("so") >> [started("reply-5", ("user", "so"))]


def test_an_early_reply_that_a_pause_confirmed_is_a_revision() -> None:
    """It was begun in a pause that the caller went on after."""
    play = answered(replace(SPECULATIVE, max_revisions=1))
    play.silence(64) >> []
    play.speech(64) >> [CancelReply("reply-1")]
    play.silence(64)
    play.transcript("hello you") >> []


def test_short_pauses_use_up_no_revisions() -> None:
    """Those that end before their transcript is there."""
    play = Playbook(SPECULATIVE)
    for _ in range(5):
        play.speech(320)
        play.silence(64)
    play.speech(64)
    play.silence(64)
    assert play.transcript("and so") == [started("reply-1", ("user", "and so"))]


def test_long_speech_earns_more_revisions() -> None:
    """One for each second."""
    play = Playbook(replace(SPECULATIVE, max_revisions=1))
    for number in range(1, 4):
        play.speech(960)
        play.silence(64)
        play.transcript("so") >> [started(f"reply-{number}", ("user", "so"))]
    play.speech(64) >> [CancelReply("reply-3")]
    play.silence(64)
    assert play.transcript("so") == [started("reply-4", ("user", "so"))]


def test_nothing_is_begun_in_long_turns() -> None:
    """The same bound as for pauses."""
    play = Playbook(replace(SPECULATIVE, max_speculated_ms=300))
    play.speech(320)
    play.drop() >> []


def test_a_transcript_of_the_drop_that_fails_is_asked_for_in_the_pause() -> None:
    """As if there had been none."""
    play = dropped()
    play.no_transcript() >> []
    play.silence(64) >> [asked_final(2, 0, 416)]


def test_a_drop_stands_in_for_the_next_partial() -> None:
    """Which is due half a second of speech after it."""
    play = Playbook(replace(SPECULATIVE, partial_every_ms=500))
    play.speech(480)
    play.drop() >> [asked_final(1, 0, 480)]
    play.rise()
    play.transcript("what") >> []
    play.speech(480) >> []
    play.speech(32) >> [asked(2, 0, 992)]


# A recogniser with state


def test_a_recogniser_with_state_is_fed_at_the_drop() -> None:
    """Its hypothesis is answered; the commit finishes it without feeding it more."""
    play = Playbook(INCREMENTAL)
    play.speech(320)
    play.drop() >> [asked(1, 0, 320)]
    play.speech(32) >> []
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]
    play.silence(480) >> []
    play.silence(32) >> [asked_final(2, 0, 320), Tell(say.SpeechStopped(352))]
    assert Tell(ReplyStarted("reply-1")) in play.transcript("hello")


def test_a_recogniser_that_is_busy_at_the_drop_is_fed_when_it_is_not() -> None:
    """One window at a time."""
    play = Playbook(replace(INCREMENTAL, partial_every_ms=300))
    play.speech(320) >> [Tell(say.SpeechStarted(0)), asked(1, 0, 320)]
    play.speech(32) >> []
    play.drop() >> []
    play.transcript("hel", 1) >> []
    play.silence(32) >> [asked(2, 0, 384)]


@pytest.mark.parametrize("policy", [SPECULATIVE, INCREMENTAL], ids=["windows", "state"])
def test_level_llm_begins_at_the_drop_too(policy: TurnPolicy) -> None:
    """The text; no voice is asked for."""
    play = Playbook(replace(policy, speculation="llm"))
    play.speech(320)
    play.drop()
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]
    assert not play.replies["reply-1"].playout.wants_more
