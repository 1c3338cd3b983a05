"""A silence after a reply is answered, where the client wants that."""

from __future__ import annotations

from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import StartReply, Tell
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import WORDS, Playbook, done, started, told_final


def spoken_to(policy: TurnPolicy | None = None) -> Playbook:
    """The agent has said "one", of which 320 ms were heard; silences are answered after 5 s."""
    play = Playbook(policy or TurnPolicy())
    play(ev.ConfigChanged(silence_ms=5_000)) >> []
    play.speaking("one")
    play.silence(320) >> []
    return play


def replied(play: Playbook) -> None:
    """The reply was played to its end."""
    reply_id = list(play.replies)[-1]
    play(ev.ReplyFinished(reply_id))


def prompted(reply_id: str, start_ms: int, end_ms: int, *before: tuple[str, str]) -> list[object]:
    """The client is told of a silence, and the model answers it."""
    return [
        Tell(say.SilenceTimedOut(start_ms, end_ms)),
        started(reply_id, *before, ("user", "...")),
        Tell(say.ReplyStarted(reply_id)),
    ]


SAID = (("user", "hi"), ("assistant", "one"))


def answers_to(play: Playbook) -> int:
    """How many silences were answered."""
    return sum(isinstance(told, say.SilenceTimedOut) for told in play.all.told)


def test_a_silence_is_answered() -> None:
    """From the end of the reply's playback; its place is that in the caller's audio."""
    play = spoken_to()
    play.wait(60_000) >> []
    replied(play)
    play.silence(4_992) >> []
    play.wait(9) >> prompted("reply-2", 320, 5_312, *SAID)


def test_each_silence_is_answered() -> None:
    """The next is counted from the end of the answer to the last."""
    play = spoken_to()
    replied(play)
    play.silence(5_024)
    play.wait(3_000) >> []
    replied(play)
    play.silence(4_992) >> []
    silent = (("user", "..."),)
    play.wait(9) >> prompted("reply-3", 5_344, 10_336, *SAID, *silent)


def test_no_silence_before_the_first_reply() -> None:
    """Nor where nobody asked for it."""
    play = Playbook(TurnPolicy())
    play(ev.ConfigChanged(silence_ms=5_000))
    play.silence(20_000) >> []
    play = Playbook(TurnPolicy())
    play.speaking("one")
    replied(play)
    play.silence(40_000) >> []


def test_it_can_be_taken_back() -> None:
    """In the midst of a silence."""
    play = spoken_to()
    replied(play)
    play.silence(4_000)
    play(ev.ConfigChanged(silence_ms=0))
    play.silence(20_000) >> []


def test_a_caller_who_speaks_is_not_silent() -> None:
    """Nothing is answered but what was said."""
    play = spoken_to()
    replied(play)
    play.silence(4_800)
    out = play.turn("tea")
    assert [told for told in out.told if isinstance(told, say.SilenceTimedOut)] == []
    assert out[-2:] == [
        started("reply-2", *SAID, ("user", "tea")),
        Tell(say.ReplyStarted("reply-2")),
    ]


def test_a_noise_begins_the_wait_again() -> None:
    """Speech without words is over when its transcript says so."""
    play = spoken_to()
    replied(play)
    play.silence(4_800)
    play.speech(320)
    play.silence(512)
    play.transcript("")
    since_ms = play.audio_ms
    play.silence(4_992) >> []
    assert play.wait(9)[0] == Tell(say.SilenceTimedOut(since_ms, since_ms + 4_992))


def test_a_caller_without_audio_is_away() -> None:
    """Nothing was heard of them that could be silent; audio that comes back is waited for anew."""
    play = spoken_to()
    replied(play)
    play.wait(60_000) >> []
    play.silence(6_000)
    assert answers_to(play) == 1


def test_an_interrupted_reply_counts_from_its_end() -> None:
    """The client ended it."""
    play = Playbook(TurnPolicy())
    play(ev.ConfigChanged(silence_ms=5_000))
    play.speaking(WORDS)
    play(ev.InterruptRequested())
    play.silence(4_992) >> []
    assert play.wait(9).told[0] == say.SilenceTimedOut(0, 4_992)


def test_turns_that_are_only_kept_change_nothing() -> None:
    """Who has turns kept and silences answered gets that."""
    play = spoken_to()
    play(ev.ConfigChanged(answers_turns=False))
    replied(play)
    play.silence(5_024)
    assert answers_to(play) == 1


def test_the_silent_turn_can_be_removed() -> None:
    """By the id that its end gives it."""
    play = spoken_to()
    replied(play)
    play.silence(4_992)
    play.wait(9)
    play(ev.InterruptRequested())
    play(ev.MessageRemoved("turn-5312"))
    assert isinstance(begun := play(ev.ReplyRequested())[0], StartReply)
    assert [message.content for message in begun.messages] == ["hi", "one"]


def test_speech_over_the_answer_interrupts_it() -> None:
    """As over any reply."""
    play = spoken_to()
    replied(play)
    play.silence(5_024)
    play.voice(WORDS)
    play.wait(0)
    play.speech(320)
    out = play.transcript("tea please")
    assert done("reply-2", "interrupted") in out
    play.silence(64)
    play.transcript("tea please")
    out = play.silence(512)
    assert told_final("tea please", 5_344, 5_664) in out


def test_answers_to_silence_do_not_keep_a_call() -> None:
    """It ends when the caller was silent for too long, however often they were asked."""
    play = spoken_to(TurnPolicy(idle_ms=12_000))
    replied(play)
    for _ in range(2):
        play.silence(5_024)
        replied(play)
    assert answers_to(play) == 2
    out = play.silence(5_024)
    assert [told.code for told in out.told if isinstance(told, say.CallError)] == [
        "session_expired"
    ]


def test_a_turn_after_an_answer_to_silence_is_answered() -> None:
    """The history has the silence between."""
    play = spoken_to()
    replied(play)
    play.silence(5_024)
    replied(play)
    out = play.turn("tea")
    [start] = [command for command in out if isinstance(command, StartReply)]
    assert [message.content for message in start.messages] == ["hi", "one", "...", "tea"]
