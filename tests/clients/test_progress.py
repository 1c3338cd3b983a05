"""When a turn counts as answered."""

from __future__ import annotations

from clients.events import (
    Event,
    Final,
    Partial,
    Ready,
    ReplyDone,
    ReplyStarted,
    ServerError,
    SpeechStarted,
    SpeechStopped,
)
from clients.progress import Progress

_HEARD = [SpeechStarted(0), Partial("so"), SpeechStopped(90), Final("so", 0, 90)]


def _after(*events: Event) -> Progress:
    progress = Progress()
    progress.begin_turn()
    for event in events:
        progress.handle(event)
    return progress


def test_ready():
    """The call is open once the server says so."""
    assert not _after().ready
    assert _after(Ready("c", None, None, "opus", None, "pcm16")).ready


def test_a_plain_turn():
    """It is settled by the reply's end, and not before."""
    events = [*_HEARD, ReplyStarted("r"), ReplyDone("r", "completed", "so")]
    for count in range(len(events)):
        assert not _after(*events[:count]).settled
    assert _after(*events).settled


def test_a_recording_with_a_pause():
    """The second half interrupts the first half's answer: the second answer counts."""
    first = [*_HEARD, ReplyStarted("r1")]
    second = [SpeechStarted(99), ReplyDone("r1", "interrupted", ""), SpeechStopped(120)]
    assert not _after(*first, *second).settled
    final = [Final("and so", 99, 120)]
    assert not _after(*first, *second, *final).settled
    answer = [ReplyStarted("r2"), ReplyDone("r2", "completed", "so")]
    assert _after(*first, *second, *final, *answer).settled


def test_an_answer_to_the_first_half_does_not_count():
    """Answered, then heard again: not settled until that is answered too."""
    answered = [*_HEARD, ReplyStarted("r1"), ReplyDone("r1", "completed", "so")]
    for count in range(1, len(_HEARD) + 1):
        assert not _after(*answered, *_HEARD[:count]).settled


def test_a_late_transcript():
    """The first turn's transcript comes while the second is spoken: both are waited for."""
    late = [SpeechStarted(0), SpeechStopped(90), SpeechStarted(200), Final("so", 0, 90)]
    answered = [*late, ReplyStarted("r1"), ReplyDone("r1", "completed", "so")]
    assert not _after(*answered).settled
    assert not _after(*answered, SpeechStopped(300)).settled
    assert _after(*answered, SpeechStopped(300), Final("", 200, 300)).settled


def test_a_transcript_that_failed():
    """Its error stands for it."""
    answered = [*_HEARD, ReplyStarted("r1"), ReplyDone("r1", "completed", "so")]
    lost = [SpeechStarted(99), SpeechStopped(120), ServerError("stage_timeout", "No words.")]
    progress = _after(*answered, *lost)
    assert progress.settled
    assert progress.failure == "No words."


def test_noise_after_the_answer():
    """A turn without words owes no answer."""
    answered = [*_HEARD, ReplyStarted("r1"), ReplyDone("r1", "completed", "so")]
    assert _after(*answered, SpeechStarted(1), SpeechStopped(2), Final("", 1, 2)).settled


def test_a_failed_reply_is_an_answer_with_a_failure():
    """It settles the turn, and says why it failed."""
    progress = _after(*_HEARD, ReplyStarted("r"), ReplyDone("r", "failed", ""))
    assert progress.settled
    assert progress.failure == "the reply failed"
    error = ServerError("stage_lost", "The voice is gone.")
    progress = _after(*_HEARD, ReplyStarted("r"), error, ReplyDone("r", "failed", ""))
    assert progress.failure == "The voice is gone."


def test_a_completed_reply_clears_an_earlier_error():
    """What went wrong before did not keep the answer away."""
    error = ServerError("invalid_request_error", "type must be a string")
    progress = _after(error, *_HEARD, ReplyStarted("r"), ReplyDone("r", "completed", "so"))
    assert progress.settled
    assert progress.failure is None


def test_the_next_turn_starts_afresh():
    """Neither the last turn's answer nor its failure counts."""
    progress = _after(*_HEARD, ReplyStarted("r"), ReplyDone("r", "failed", ""))
    progress.begin_turn()
    assert not progress.settled
    assert progress.failure is None
