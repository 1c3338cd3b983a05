"""What is heard while the agent speaks and is no turn."""

from __future__ import annotations

import pytest

from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import CancelReply, StartReply, Tell, WakeReply
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, started

LONG = "there are many ways from the station to the old town and back along the river"
ENGLISH = TurnPolicy(language="en")


def over_a_reply(policy: TurnPolicy = ENGLISH, text: str = LONG) -> Playbook:
    """The agent speaks; the caller has said something for long enough to pause him."""
    play = Playbook(policy)
    play.speaking(text)
    list(play.replies.values())[-1].playout.end()
    play.silence(384)
    play.speech(224)
    return play


@pytest.mark.parametrize("words", ["mm-hm", "Yeah.", "okay, right"])
def test_a_backchannel_does_not_end_the_reply(words: str) -> None:
    """It is told as it was heard, and the reply goes on where it stopped."""
    play = over_a_reply()
    play.transcript(words) >> []
    play.silence(512)
    assert play.transcript(words)[-3:] == [
        Tell(say.FinalTranscript(words, 384, 608)),
        Tell(say.ReplyResumed("reply-1", 458)),
        WakeReply("reply-1"),
    ]


def test_a_backchannel_is_not_in_the_history() -> None:
    """The next turn is answered as if it had not been said."""
    play = over_a_reply()
    play.silence(512)
    play.transcript("yeah")
    play(ev.InterruptRequested())
    out = play(ev.TextTyped("and"))
    assert isinstance(out[0], StartReply)
    assert [message.content for message in out[0].messages] == ["hi", "there are", "and"]


def test_a_backchannel_too_short_to_pause_the_reply() -> None:
    """It leaves the reply alone altogether."""
    play = Playbook(ENGLISH)
    play.speaking(LONG)
    play.speech(128)
    play.silence(64)
    play.transcript("mm") >> []
    out = play.silence(512)
    assert [type(one) for one in out.told] == [say.SpeechStopped, say.FinalTranscript]


def test_more_than_a_backchannel_ends_it() -> None:
    """While only a nod was heard the decision waits; the next word makes it."""
    play = over_a_reply()
    play.transcript("yeah") >> []
    play.speech(512)
    assert CancelReply("reply-1") in play.transcript("yeah but wait")


def test_the_same_word_in_silence_is_a_turn() -> None:
    """It answers a question."""
    play = Playbook(ENGLISH)
    out = play.turn("yes")
    assert started("reply-1", ("user", "yes")) in out


def test_the_same_word_to_a_reply_that_is_not_heard_yet_is_a_turn() -> None:
    """Nobody nods at silence."""
    play = Playbook(ENGLISH)
    play.turn("shall we")
    play.speech(224)
    assert play.transcript("yes")[0] == CancelReply("reply-1")


def test_the_same_word_at_the_end_of_a_reply_is_an_answer() -> None:
    """With less than a second left, the question was heard."""
    play = over_a_reply(text="shall i book it")
    play.transcript("yes") >> []
    play.silence(512)
    out = play.transcript("yes")
    assert CancelReply("reply-1") in out
    assert isinstance(out[-2], StartReply)


def test_a_word_that_the_client_commits_is_a_turn() -> None:
    """Who presses a button to talk does not nod."""
    play = over_a_reply()
    play(ev.CommitRequested())
    out = play.transcript("okay")
    assert any(isinstance(command, StartReply) for command in out)


def test_no_reply_is_begun_to_a_backchannel() -> None:
    """Speculation knows that it is none."""
    play = over_a_reply(TurnPolicy(language="en", speculation="reply"))
    play.silence(64)
    play.transcript("okay") >> []


def test_the_language_may_change() -> None:
    """With it the words."""
    play = over_a_reply()
    play(ev.ConfigChanged(language="de"))
    play.transcript("genau") >> []
    play.speech(512)
    assert play.transcript("yeah")[0] == CancelReply("reply-1")


def test_the_agents_own_words_do_not_end_his_reply() -> None:
    """They came back from the caller's loudspeaker: no words, so the reply goes on."""
    play = over_a_reply()
    play.transcript("there are") >> []
    play.silence(512)
    out = play.transcript("there are many")
    assert out[-2:] == [Tell(say.ReplyResumed("reply-1", 458)), WakeReply("reply-1")]
    assert CancelReply("reply-1") not in out


def test_other_words_after_an_echo_end_it() -> None:
    """The echo is only what was heard first."""
    play = over_a_reply()
    play.transcript("there are") >> []
    play.speech(512)
    assert CancelReply("reply-1") in play.transcript("there are stop that")


def test_a_nod_after_an_echo_is_a_nod() -> None:
    """Neither of the two ends the reply."""
    play = over_a_reply()
    play.transcript("there are okay") >> []


def test_an_echo_of_a_reply_that_is_over_is_no_turn() -> None:
    """Its transcript came late. One word, though, may be the caller's."""
    play = over_a_reply()
    play.silence(512)
    play(ev.InterruptRequested())
    assert len(play.transcript("there are")) == 1


def test_the_agents_words_in_silence_are_a_turn() -> None:
    """Who repeats what he heard, says it."""
    play = over_a_reply()
    play(ev.InterruptRequested())
    play.silence(512)
    play.transcript("")
    play.speech(320)
    play.silence(512)
    assert any(isinstance(command, StartReply) for command in play.transcript("there are"))
