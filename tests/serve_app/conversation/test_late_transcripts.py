"""Final transcripts that are empty, fail, come late, out of order, or for nobody."""

from __future__ import annotations

import pytest

from deployments.contracts import Word
from serve_app.conversation import announcements as say
from serve_app.conversation.announcements import FinalTranscript, SpeechStarted, SpeechStopped
from serve_app.conversation.commands import Tell
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, answered, asked_final, told_final


def error(code: str, message: str, turn_end_ms: int = 320) -> Tell:
    """The client is told that a turn is lost."""
    return Tell(say.CallError(code, message, turn_end_ms))


def test_empty_final_is_no_turn() -> None:
    """Noise that holds no words is told as an empty final, and not answered."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(512)
    play.transcript("") >> [told_final("", 0, 320)]


def test_failed_final_loses_the_turn() -> None:
    """The client is told, and the call goes on with the next turn."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(512)
    play.no_transcript() >> [error("stage_failed", "no")]
    play.no_transcript() >> []
    play.turn("again") >> [
        Tell(SpeechStarted(832)),
        asked_final(2, 512, 1216, turn=2),
        Tell(SpeechStopped(1152)),
        told_final("again", 832, 1152),
        *answered("reply-1", "again"),
    ]


def test_failed_candidate_is_asked_again_at_the_commit_and_not_before() -> None:
    """A stage that is down is not asked at every frame of the pause."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64)
    play.no_transcript() >> []
    play.silence(416) >> []
    play.silence(32) >> [asked_final(2, 0, 832), Tell(SpeechStopped(320))]
    play.transcript("hello") >> [told_final("hello", 0, 320), *answered("reply-1", "hello")]


def test_failed_candidate_is_asked_again_at_the_next_pause() -> None:
    """A later pause is a new candidate."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64)
    play.no_transcript()
    play.speech(96) >> []
    play.silence(64) >> [asked_final(2, 0, 544)]


def test_overdue_final_is_a_failure() -> None:
    """A transcript that is not there 20 s after the commit is given up; late, it is dropped."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(512)
    play.wait(19_999) >> []
    play.wait(2) >> [error("stage_timeout", "no transcript came in time")]
    play.transcript("hello") >> []


def test_stalled_uplink_commits() -> None:
    """A second without any audio in speech ends the turn."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.wait(999) >> []
    play.wait(2) >> [asked_final(1, 0, 320), Tell(SpeechStopped(320))]


def two_turns() -> Playbook:
    """Two turns are committed, and no transcript is there: windows 1 and 2."""
    play = Playbook(TurnPolicy())
    for _ in range(2):
        play.speech(320)
        play.silence(512)
    return play


def test_two_turns_complete_in_the_order_spoken() -> None:
    """The second's transcript waits for the first's; one reply answers both, in order."""
    play = two_turns()
    play.transcript("second", window_id=2) >> []
    play.transcript("first", window_id=1) >> [
        told_final("first", 0, 320),
        told_final("second", 832, 1152),
        *answered("reply-1", "first", "second"),
    ]


def test_second_turn_is_answered_when_the_first_fails() -> None:
    """A lost turn does not hold up the next."""
    play = two_turns()
    play.transcript("second", window_id=2) >> []
    play.no_transcript(window_id=1) >> [
        error("stage_failed", "no"),
        told_final("second", 832, 1152),
        *answered("reply-1", "second"),
    ]


def test_second_turn_is_answered_when_the_first_is_overdue() -> None:
    """Nor does one that never comes."""
    play = two_turns()
    play.transcript("second", window_id=2) >> []
    out = play.wait(20_000)
    assert out.told[0] == say.CallError("stage_timeout", "no transcript came in time", 320)
    assert out[1:] == [told_final("second", 832, 1152), *answered("reply-1", "second")]


def test_final_word_times_are_call_times() -> None:
    """Words are placed in the call, not in the window."""
    play = Playbook(TurnPolicy())
    play.silence(1024)
    play.speech(320)
    play.silence(512)
    out = play.transcript("hello", words=[Word("hello", 300, 640, 0.5)])
    words = (Word("hello", 1004, 1344, 0.5),)
    assert out.told[0] == FinalTranscript("hello", 1024, 1344, words)


@pytest.mark.parametrize("window_id", [0, 1, 99])
def test_stale_windows_are_dropped(window_id: int) -> None:
    """A transcript, or a failure, of a window nobody waits for does nothing."""
    play = Playbook(TurnPolicy())
    play.transcript("what", window_id) >> []
    play.no_transcript(window_id) >> []
    play.speech(320)
    play.silence(320)
    play.speech(320)
    play.silence(64)
    assert [window.window_id for window in play.windows] == [1, 2, 3]
    play.transcript("what", window_id) >> []
    play.no_transcript(window_id) >> []


def test_partial_of_a_committed_turn_is_dropped() -> None:
    """A partial that comes after its turn's end is not shown."""
    play = Playbook(TurnPolicy())
    play.speech(512)
    play.silence(512)
    play.transcript("one", window_id=1) >> []
