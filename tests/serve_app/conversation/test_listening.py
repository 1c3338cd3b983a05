"""The caller's turns: opening, partials, pauses, commits, transcripts that come, fail or not."""

from __future__ import annotations

from serve_app.conversation.announcements import (
    FinalTranscript,
    ReplyStarted,
    SpeechStarted,
    SpeechStopped,
)
from serve_app.conversation.commands import Tell
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, asked, asked_final, started


def test_speech_opens_a_turn() -> None:
    """Three frames of voice open a turn at the first of them."""
    play = Playbook(TurnPolicy())
    play.silence(320) >> []
    play.speech(64) >> []
    play.speech(32) >> [Tell(SpeechStarted(320))]


def test_pause_commits_turn_with_transcript_asked_at_candidate() -> None:
    """The final is asked for at 64 ms of silence and used at the commit."""
    play = Playbook(TurnPolicy())
    play.speech(320) >> [Tell(SpeechStarted(0))]
    play.silence(64) >> [asked_final(1, 0, 384)]
    play.silence(416) >> []
    play.silence(32) >> [Tell(SpeechStopped(320))]
    play.transcript("hello") >> [
        Tell(FinalTranscript("hello", 0, 320)),
        started("reply-1", ("user", "hello")),
        Tell(ReplyStarted("reply-1")),
    ]


def test_partials_every_half_second() -> None:
    """A partial is asked for at each 500 ms of speech."""
    play = Playbook(TurnPolicy())
    play.speech(512) >> [Tell(SpeechStarted(0)), asked(1, 0, 512)]
    play.transcript("one")
    play.speech(480) >> []
    play.speech(32) >> [asked(2, 0, 1024)]
