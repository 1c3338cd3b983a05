"""The caller's turns: opening, pauses, candidates, commits."""

from __future__ import annotations

from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import SpeechStarted, SpeechStopped
from serve_app.conversation.commands import CancelReply, Tell
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, answered, asked, asked_final, started, told_final


def error(code: str, message: str) -> Tell:
    """The client is told of an error."""
    return Tell(say.CallError(code, message))


# Turns open and are committed


def test_speech_opens_a_turn() -> None:
    """Three frames of voice open a turn at the first of them."""
    play = Playbook(TurnPolicy())
    play.silence(320) >> []
    play.speech(64) >> []
    play.speech(32) >> [Tell(SpeechStarted(320))]


def test_click_opens_none() -> None:
    """Clicks, however many, are no speech: nothing is told and nothing transcribed."""
    play = Playbook(TurnPolicy())
    for _ in range(20):
        play.speech(64) >> []
        play.silence(128) >> []


def test_pause_commits_turn_with_transcript_asked_at_candidate() -> None:
    """The final is asked for at 64 ms of silence; when it comes late the reply starts on it."""
    play = Playbook(TurnPolicy())
    play.speech(320) >> [Tell(SpeechStarted(0))]
    play.silence(64) >> [asked_final(1, 0, 384)]
    play.silence(416) >> []
    play.silence(32) >> [Tell(SpeechStopped(320))]
    play.transcript("hello") >> [told_final("hello", 0, 320), *answered("reply-1", "hello")]


def test_transcript_before_commit_waits_for_it() -> None:
    """A candidate's transcript is the final of the commit: nothing is transcribed twice."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64) >> [asked_final(1, 0, 384)]
    play.transcript(" hello ") >> []
    play.silence(416) >> []
    play.silence(32) >> [
        Tell(SpeechStopped(320)),
        told_final("hello", 0, 320),
        *answered("reply-1", "hello"),
    ]


def test_short_pause_goes_on_and_drops_the_candidate() -> None:
    """Speech after a pause makes the candidate void; the next covers the whole turn."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(416) >> [asked_final(1, 0, 384)]
    play.transcript("hello") >> []
    play.speech(64) >> [asked(2, 0, 800)]
    play.transcript("hello wor") >> []
    play.speech(64) >> []
    play.silence(512) >> [asked_final(3, 0, 928), Tell(SpeechStopped(864))]
    play.transcript("hello", window_id=1) >> []
    play.transcript("hello world") >> [
        told_final("hello world", 0, 864),
        *answered("reply-1", "hello world"),
    ]


def test_candidate_is_the_guess_of_a_speculative_reply() -> None:
    """With speculation a candidate's words start a reply, and going on drops it."""
    play = Playbook(TurnPolicy(speculation="reply"))
    play.speech(320)
    play.silence(64)
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]
    play.speech(64) >> [CancelReply("reply-1")]


def test_empty_candidate_is_no_guess() -> None:
    """Noise in a pause starts nothing."""
    play = Playbook(TurnPolicy(speculation="reply"))
    play.speech(320)
    play.silence(64)
    play.transcript("") >> []


def test_click_in_a_pause_leaves_the_candidate() -> None:
    """A lone frame of voice neither ends the pause nor asks again."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64) >> [asked_final(1, 0, 384)]
    play.speech(32) >> []
    play.silence(416) >> [Tell(SpeechStopped(320))]


def test_the_frame_in_which_the_caller_goes_on_commits_nothing() -> None:
    """With it the pause would be long enough: the turn, and what is said, would be cut there."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(480) >> [asked_final(1, 0, 384)]
    play.speech(64) >> [asked(2, 0, 864)]
    play.silence(480) >> [asked_final(3, 0, 928)]
    play.silence(32) >> [Tell(SpeechStopped(864))]


def test_a_click_as_the_pause_ends_puts_the_commit_off_for_a_frame() -> None:
    """By then it is known that it was one."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(480) >> [asked_final(1, 0, 384)]
    play.speech(32) >> []
    play.silence(32) >> [Tell(SpeechStopped(320))]


def test_window_begins_before_the_first_voice() -> None:
    """A soft beginning is in the window: 320 ms before the voice, at most from the call's start."""
    play = Playbook(TurnPolicy())
    play.silence(1024)
    play.speech(320) >> [Tell(SpeechStarted(1024))]
    play.silence(64) >> [asked_final(1, 704, 1408)]


def test_endpoint_shorter_than_candidate() -> None:
    """With a shorter endpoint the final is asked for at the commit."""
    play = Playbook(TurnPolicy(endpoint_ms=32))
    play.speech(320)
    play.silence(32) >> [asked_final(1, 0, 352), Tell(SpeechStopped(320))]


def test_endpoint_can_change_in_the_call() -> None:
    """A client's longer endpoint holds from then on; other changes leave it."""
    play = Playbook(TurnPolicy())
    play(ev.ConfigChanged(endpoint_ms=1000)) >> []
    play(ev.ConfigChanged(voice="x")) >> []
    play.speech(320)
    play.silence(992) >> [asked_final(1, 0, 384)]
    play.silence(32) >> [Tell(SpeechStopped(320))]


def test_longest_turn_is_committed_in_mid_speech() -> None:
    """At the longest turn's length it ends; the rest is a new turn whose window starts there."""
    play = Playbook(TurnPolicy(max_turn_ms=960, partial_every_ms=5_000))
    play.speech(928) >> [Tell(SpeechStarted(0))]
    play.speech(32) >> [asked_final(1, 0, 960), Tell(SpeechStopped(960))]
    play.speech(96) >> [Tell(SpeechStarted(960))]
    play.silence(64) >> [asked_final(2, 960, 1120, turn=2)]


def test_prefix_never_reaches_into_the_turn_before() -> None:
    """Audio of one turn's final window is not transcribed again as the next one's prefix."""
    play = Playbook(TurnPolicy(endpoint_ms=96))
    play.speech(320)
    play.silence(96) >> [asked_final(1, 0, 384), Tell(SpeechStopped(320))]
    play.silence(32)
    play.speech(320) >> [Tell(SpeechStarted(448))]
    play.silence(64) >> [asked_final(2, 384, 832, turn=2)]


# The client commits


def test_commit_request_in_speech() -> None:
    """The client's commit ends the turn at once."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play(ev.CommitRequested()) >> [asked_final(1, 0, 320), Tell(SpeechStopped(320))]
    play.transcript("hello") >> [told_final("hello", 0, 320), *answered("reply-1", "hello")]


def test_commit_request_with_transcript_there() -> None:
    """A commit in a pause whose transcript came is complete at once."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64)
    play.transcript("hello")
    play(ev.CommitRequested()) >> [
        Tell(SpeechStopped(320)),
        told_final("hello", 0, 320),
        *answered("reply-1", "hello"),
    ]


def test_commit_request_without_speech() -> None:
    """There is nothing to commit before speech, nor in a click."""
    play = Playbook(TurnPolicy())
    nothing = [error("nothing_to_commit", "no speech was heard")]
    play(ev.CommitRequested()) >> nothing
    play.speech(64)
    play(ev.CommitRequested()) >> nothing
