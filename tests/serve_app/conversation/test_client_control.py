"""What a client may decide itself: when turns end, what is answered, what the history holds."""

from __future__ import annotations

import pytest

from deployments.contracts import Message
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import CancelReply, StartReply, Tell, WakeReply
from serve_app.conversation.playout import Playout, PlayoutPolicy
from serve_app.conversation.policy import TurnPolicy
from tests.fakes import spoken
from tests.playbook import (
    WORDS,
    Playbook,
    answered,
    asked_final,
    done,
    started,
    told_final,
    wrote,
)


def play_with(**config: bool) -> Playbook:
    """A call whose client has changed how turns are taken."""
    play = Playbook(TurnPolicy())
    play(ev.ConfigChanged(**config)) >> []
    return play


def reply_started(reply_id: str, request_id: str | None = None) -> Tell:
    """The client is told that a reply began."""
    return Tell(say.ReplyStarted(reply_id, request_id))


def history(play: Playbook) -> list[tuple[str, str]]:
    """What a reply that is asked for now would answer."""
    play(ev.InterruptRequested())
    play(ev.ReplyRequested())
    messages = list(play.replies.values())[-1].messages
    return [(message.role, message.content) for message in messages]


def test_manual_commit_takes_all_that_was_heard() -> None:
    """Voice or not: nothing is told before, and the next turn begins where this one ended."""
    play = play_with(detects_turns=False)
    play.speech(320) >> []
    play.silence(960) >> []
    play(ev.CommitRequested()) >> [asked_final(1, 0, 1280), Tell(say.SpeechStopped(1280))]
    play.transcript("hello") >> [told_final("hello", 0, 1280), *answered("reply-1", "hello")]
    play.speech(128)
    play(ev.CommitRequested()) >> [
        asked_final(2, 1280, 1408, turn=2),
        Tell(say.SpeechStopped(1408)),
    ]


def test_nothing_to_commit() -> None:
    """Less than 100 ms is no turn."""
    play = play_with(detects_turns=False)
    play.speech(96)
    [told] = play(ev.CommitRequested()).told
    assert isinstance(told, say.CallError)
    assert told.code == "nothing_to_commit"


def test_manual_turns_are_as_long_as_is_kept() -> None:
    """Of more than a minute, the last."""
    play = play_with(detects_turns=False)
    play.silence(61_440)
    assert play(ev.CommitRequested())[0] == asked_final(1, 1_440, 61_440)


def test_cleared_audio_is_no_turn() -> None:
    """Neither one that is open nor the beginning of the next."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play(ev.HearingCleared()) >> []
    play.silence(640) >> []
    play.speech(96) >> [Tell(say.SpeechStarted(960))]
    play.silence(64) >> [asked_final(1, 640, 1120, turn=2)]


def test_cleared_speech_over_a_reply_lets_it_go_on() -> None:
    """The reply that was paused for it is resumed."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.speech(224)
    assert play(ev.HearingCleared()).told[-1:] == [say.ReplyResumed("reply-1", 74)]


def test_a_turn_that_is_open_when_detection_ends_belongs_to_the_buffer() -> None:
    """It is committed by the client, from where the last turn ended."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play(ev.ConfigChanged(detects_turns=False)) >> []
    play.silence(1_000) >> []
    assert play(ev.CommitRequested())[0] == asked_final(1, 0, 1344, turn=2)


def test_detection_that_begins_hears_only_what_follows() -> None:
    """Voice from before opens no turn."""
    play = play_with(detects_turns=False)
    play.speech(320)
    play(ev.ConfigChanged(detects_turns=True)) >> []
    play.silence(32) >> []
    play.speech(96) >> [Tell(say.SpeechStarted(352))]


def test_an_unanswered_turn_waits_for_the_request() -> None:
    """It is in the history; the reply begins when it is asked for."""
    play = play_with(answers_turns=False)
    assert play.turn("hello")[-1] == told_final("hello", 0, 320)
    play(ev.ReplyRequested("q1")) >> [
        started("reply-1", ("user", "hello")),
        reply_started("reply-1", "q1"),
    ]


def test_a_requested_reply_waits_for_the_transcript() -> None:
    """Commit and request at once, as a push-to-talk client does."""
    play = play_with(detects_turns=False, answers_turns=False)
    play.speech(320)
    play(ev.CommitRequested())
    play(ev.ReplyRequested("q1")) >> []
    play.transcript("hello") >> [
        told_final("hello", 0, 320),
        started("reply-1", ("user", "hello")),
        reply_started("reply-1", "q1"),
    ]


def test_a_requested_reply_begins_though_the_turn_is_lost() -> None:
    """The client was told; the request still stands."""
    play = play_with(detects_turns=False, answers_turns=False)
    play.speech(320)
    play(ev.CommitRequested())
    play(ev.ReplyRequested())
    assert play.no_transcript()[1:] == [started("reply-1"), reply_started("reply-1")]


def test_requests_are_served_one_after_another() -> None:
    """The second waits for the first; it is given the text to say."""
    play = Playbook(TurnPolicy())
    play(ev.ReplyRequested("a", text="one", remembered=False))
    play(ev.ReplyRequested("b", text="two", voice="eve", remembered=False)) >> []
    first, second = play(ev.ReplyFinished("reply-1"))[1:]
    assert isinstance(first, StartReply)
    assert (first.text, first.voice) == ("two", "eve")
    assert second == reply_started("reply-2", "b")
    assert history(play) == []


def test_too_many_requests_are_refused() -> None:
    """The newest is; the client may try again."""
    play = Playbook(TurnPolicy())
    for _ in range(65):
        play(ev.ReplyRequested())
    [told] = play(ev.ReplyRequested()).told
    assert isinstance(told, say.CallError)
    assert told.code == "too_many_requests"


def test_an_interruption_withdraws_requests() -> None:
    """The client wants to hear nothing now."""
    play = Playbook(TurnPolicy())
    play(ev.ReplyRequested())
    play(ev.ReplyRequested())
    play(ev.InterruptRequested()) >> [CancelReply("reply-1"), done("reply-1", "interrupted")]


def test_a_request_has_instructions_and_messages_of_its_own() -> None:
    """For this reply alone."""
    play = Playbook(TurnPolicy(), "be kind")
    play(ev.TextTyped("hello"))
    play(ev.ReplyFinished("reply-1"))
    assert play(ev.ReplyRequested(instructions="be brief"))[0] == started(
        "reply-2", ("system", "be brief"), ("user", "hello")
    )
    play(ev.ReplyFinished("reply-2"))
    asked = (Message("user", "spell it"),)
    assert play(ev.ReplyRequested(messages=asked))[0] == started("reply-3", ("user", "spell it"))


@pytest.mark.parametrize("speaks", [True, False])
def test_a_reply_without_a_voice(speaks: bool) -> None:
    """What was written counts as heard, and it need not sound to be in time."""
    play = play_with(speaks=speaks)
    out = play(ev.TextTyped("hi"))
    assert isinstance(out[0], StartReply)
    assert out[0].speaks is speaks
    play(wrote("reply-1", "Good day."))
    play.wait(30_000)
    [*_, told] = play(ev.InterruptRequested()).told or [None]
    assert told == (None if speaks else say.ReplyDone("reply-1", "interrupted", "Good day."))


def test_a_request_may_do_without_the_voice() -> None:
    """Whatever the call does."""
    play = Playbook(TurnPolicy())
    [start, _] = play(ev.ReplyRequested(speaks=False))
    assert isinstance(start, StartReply)
    assert not start.speaks


def test_replies_without_a_voice_are_not_begun_ahead() -> None:
    """They would be over before the commit."""
    play = Playbook(TurnPolicy(speculation="reply"))
    play(ev.ConfigChanged(speaks=False))
    play.speech(320)
    play.silence(128)
    play.transcript("hello") >> []


def test_speech_ends_no_reply_that_is_not_interruptible() -> None:
    """The turn is told, and answered when the reply is over."""
    play = play_with(interruptible=False)
    play.speaking(WORDS)
    out = play.turn("what about this")
    assert not [told for told in out.told if isinstance(told, say.ReplyFlushed | say.ReplyDone)]
    out = play(ev.ReplyFinished("reply-1"))
    assert [type(told) for told in out.told] == [say.ReplyDone, say.ReplyStarted]


def test_turns_that_nobody_answers_still_end_a_reply() -> None:
    """The caller spoke up: the reply ends, the turn is kept."""
    play = play_with(answers_turns=False)
    play.speaking(WORDS)
    out = play.turn("what about this")
    assert [told.status for told in out.told if isinstance(told, say.ReplyDone)] == ["interrupted"]
    assert history(play)[-1] == ("user", "what about this")


def test_messages_are_put_where_the_client_wants_them() -> None:
    """At the end, at the front, after another one; an unknown place is the end."""
    play = Playbook(TurnPolicy())
    for message_id, after in (("b", None), ("a", ""), ("c", "b"), ("d", "nowhere"), ("x", "b")):
        play(ev.MessageAdded(message_id, "user", message_id, after)) >> []
    assert [text for _, text in history(play)] == ["a", "b", "x", "c", "d"]
    play(ev.MessageRemoved("x")) >> []
    play(ev.MessageRemoved("nowhere")) >> []
    assert [text for _, text in history(play)] == ["a", "b", "c", "d"]


def test_spoken_turns_and_replies_have_ids() -> None:
    """So that a client may take them out, or put something after them."""
    play = Playbook(TurnPolicy())
    play.turn("hello")
    play(wrote("reply-1", "Good day."))
    play(ev.ReplyFinished("reply-1"))
    play(ev.MessageAdded("m", "system", "be kind", say.turn_message_id(320)))
    assert history(play) == [
        ("user", "hello"),
        ("system", "be kind"),
        ("assistant", "Good day."),
    ]
    play(ev.MessageRemoved("reply-1"))
    play(ev.MessageRemoved(say.turn_message_id(320)))
    assert history(play) == [("system", "be kind")]


def test_truncation_corrects_what_was_heard() -> None:
    """Of the reply that just ended, be it more or less than the clock said."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.wait(1_000)
    play(ev.InterruptRequested())
    play(ev.ReplyTruncated("reply-1", 450)) >> []
    assert history(play) == [("user", "hi"), ("assistant", "one two")]


def test_truncation_to_nothing_leaves_no_trace() -> None:
    """A reply that nobody heard is none."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.wait(1_000)
    play(ev.InterruptRequested())
    play(ev.ReplyTruncated("reply-1", 0)) >> []
    assert history(play) == [("user", "hi")]


def test_truncation_of_a_live_reply_counts_when_it_ends() -> None:
    """The client stops playing before it cancels."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.wait(1_000)
    play(ev.ReplyTruncated("reply-1", 450)) >> []
    assert play(ev.InterruptRequested()).told[-1] == say.ReplyDone(
        "reply-1", "interrupted", "one two"
    )
    play(ev.ReplyTruncated("other", 5)) >> []


def test_unpaced_audio_leaves_at_once() -> None:
    """A client that keeps it has all of it, and the reply is over then."""
    playout = Playout(PlayoutPolicy(paced=False))
    playout.begin_phrase(WORDS)
    for chunk in spoken(WORDS):
        playout.push(chunk)
    playout.end_phrase()
    playout.end()
    assert playout.over_at() is None
    sent_ms = 0.0
    while piece := playout.take(100.0):
        sent_ms += piece.end_ms - piece.start_ms
    assert sent_ms == pytest.approx(2_000)
    over_at = playout.over_at()
    assert over_at is not None
    assert over_at <= 100.0
    assert playout.unplayed_ms(100.0) == pytest.approx(2_000)


def test_voice_may_be_asked_to_be_clearer() -> None:
    """What was voice is none at a higher threshold."""
    play = Playbook(TurnPolicy())
    play(ev.ConfigChanged(voice_probability=0.95, prefix_ms=100, endpoint_ms=200))
    play.speech(320) >> []
    play(ev.ConfigChanged(voice_probability=0.5)) >> []
    play.speech(96) >> [Tell(say.SpeechStarted(320))]
    play.silence(64) >> [asked_final(1, 220, 480)]
    assert Tell(say.SpeechStopped(416)) in play.silence(160)


def discreet() -> Playbook:
    """The agent speaks, to a client that cannot resume."""
    play = Playbook(TurnPolicy(resumes=False))
    play.speaking(WORDS)
    play.silence(384) >> []
    return play


def test_discreet_speech_is_told_when_its_words_end_the_reply() -> None:
    """Before the reply's end, which it explains."""
    play = discreet()
    out = play.speech(256)
    assert out.told == []
    assert WakeReply("reply-1") in out
    play.transcript("stop it")
    out = play.transcript("stop it now", play.windows[-1].window_id)
    told = [type(told) for told in play.all.told]
    assert told[-3:] == [say.SpeechStarted, say.ReplyFlushed, say.ReplyDone]


def test_discreet_speech_without_words_is_never_told() -> None:
    """The reply goes on from where it was sent to: the client dropped nothing."""
    play = discreet()
    sent = play.sent[-1][1].end_ms
    play.speech(256)
    play.silence(640)
    before = len(play.sent)
    out = play.transcript("")
    assert out.told == []
    play.wait(0)
    assert play.sent[before][1].start_ms >= sent
    ends = [piece.end_ms for _, piece in play.sent]
    assert [piece.start_ms for _, piece in play.sent[1:]] == pytest.approx(ends[:-1])


def test_discreet_speech_is_told_after_a_reply_that_ended_by_itself() -> None:
    """The turn is still open then, and nothing is left to drop."""
    play = discreet()
    play.speech(128)
    out = play(ev.ReplyFinished("reply-1"))
    assert [type(told) for told in out.told] == [say.SpeechStarted, say.ReplyDone]


def test_discreet_speech_into_silence_is_told_at_once() -> None:
    """There is no reply to spare."""
    play = Playbook(TurnPolicy(resumes=False))
    assert play.speech(96) == [Tell(say.SpeechStarted(0))]


def test_a_lost_discreet_turn_is_an_error_alone() -> None:
    """What is known of it is that it was not understood."""
    play = discreet()
    play.speech(256)
    play.silence(640)
    assert [type(told) for told in play.no_transcript().told] == [say.CallError]
