"""How turns and replies bear on each other: barge-in, time-outs, the end, and anything at all."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from deployments.contracts import Word
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
from serve_app.conversation.commands import CancelReply, EndCall, StartReply, Tell, WakeReply
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, asked, asked_final, started

WORDS = "one two three four five six seven eight nine ten"


def interrupted() -> Playbook:
    """The agent was speaking and the caller has spoken for long enough to pause it."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.silence(384) >> []
    play.speech(192) >> [Tell(SpeechStarted(384))]
    play.speech(32) >> [
        Tell(ReplyFlushed("reply-1")),
        WakeReply("reply-1"),
        asked(1, 64, 608),
    ]
    return play


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
        Tell(say.CallError("stage_failed", "no")),
        Tell(ReplyResumed("reply-1", 458)),
        WakeReply("reply-1"),
    ]


def test_wait_for_words_is_bounded() -> None:
    """After 1.5 s without words the reply goes on, and this turn's speech pauses it no more."""
    play = interrupted()
    play.speech(1472) >> []
    play.speech(32) >> [Tell(ReplyResumed("reply-1", 458)), WakeReply("reply-1")]
    before = len(play.sent)
    play.speech(320) >> []
    assert len(play.sent) > before
    assert play.transcript("wait")[:2] == [CancelReply("reply-1"), Tell(ReplyFlushed("reply-1"))]


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


# Whatever happens

STEPS = 150
FAST = TurnPolicy(
    max_turn_ms=3_000,
    partial_window_ms=1_000,
    idle_ms=6_000,
    max_call_ms=90_000,
    stage_timeout_ms=2_500,
)


class Checker:
    """What must hold of the commands of any call, whatever happened."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.live: str | None = None
        self.over: set[str] = set()
        self.ended = False

    def check(self, command: object) -> None:
        """The next command."""
        assert not self.ended
        match command:
            case StartReply(reply_id=reply_id):
                self.running.add(reply_id)
            case CancelReply(reply_id=reply_id):
                self.running.remove(reply_id)
            case WakeReply(reply_id=reply_id):
                assert reply_id in self.running
            case EndCall():
                assert self.live is None
                assert not self.running
                self.ended = True
            case Tell(announcement=ReplyStarted(reply_id=reply_id)):
                assert self.live is None
                assert reply_id not in self.over
                self.live = reply_id
            case Tell(announcement=ReplyDone(reply_id=reply_id)):
                assert self.live == reply_id
                self.over.add(reply_id)
                self.live = None
            case Tell(
                announcement=(
                    say.ReplyText() | say.TurnTimings() | ReplyFlushed() | ReplyResumed()
                ) as told
            ):
                assert told.reply_id == self.live
            case _:
                pass


class RandomCall:
    """A caller and stages that do anything at any time, to ids that are new, old or unknown."""

    def __init__(self, policy: TurnPolicy, seed: int) -> None:
        self.random = Random(seed)
        self.play = Playbook(policy)
        self.checker = Checker()
        self.checked = 0

    def step(self) -> None:
        """One thing happens."""
        actions = {
            self.hear: 10,
            self.transcribe: 6,
            self.make_reply: 6,
            self.end_reply: 2,
            self.wait: 1,
            self.ask: 1,
        }
        (action,) = self.random.choices(list(actions), list(actions.values()))
        action()
        self.play.wait(0)
        self.check()

    def check(self) -> None:
        """What came of it makes sense, and the next deadline is ahead."""
        for command in self.play.all[self.checked :]:
            self.checker.check(command)
        self.checked = len(self.play.all)
        deadline = self.play.machine.deadline()
        assert self.checker.ended if deadline is None else deadline > self.play.now

    def hear(self) -> None:
        """Voice or silence."""
        self.play.frames(self.random.choice([0.1, 0.9]), self.random.randint(1, 20) * 32)

    def wait(self) -> None:
        """No audio comes."""
        self.play.wait(self.random.choice([20, 300, 1_500, 3_000]))

    def transcribe(self) -> None:
        """A window, mostly the last, is transcribed or fails."""
        if not self.play.windows:
            return
        window = self.pick([w.window_id for w in self.play.windows])
        text = self.random.choice(["", "yes", "yes no", "yes no so", None])
        if text is None:
            self.play.no_transcript(window)
        else:
            self.play.transcript(text, window, words=spoken_words_of(text))

    def make_reply(self) -> None:
        """A reply goes on."""
        if not self.play.replies:
            return
        reply_id = self.pick(list(self.play.replies))
        self.play(ev.ReplyTextWritten(reply_id, "some words to say "))
        self.play.voice("some words to say")
        if self.random.random() < 0.7:
            self.play(ev.ReplySpeaking(reply_id, 1, 1))
        if self.random.random() < 0.5:
            self.play(ev.PlaybackReported(reply_id, self.random.uniform(0, 2_000)))

    def end_reply(self) -> None:
        """A reply that still runs ends, well or not; or one that does not is said to."""
        if not self.play.replies:
            return
        reply_id = self.pick(list(self.play.replies))
        error = self.random.choice([None, ("stage_failed", "no")])
        if reply_id in self.checker.running:
            if error is None and not self.play.replies[reply_id].playout.released:
                return
            self.checker.running.remove(reply_id)
        self.play(ev.ReplyFinished(reply_id, error))

    def ask(self) -> None:
        """The client wants something."""
        events = [
            ev.TextTyped("typed"),
            ev.CommitRequested(),
            ev.InterruptRequested(),
            ev.ConfigChanged(endpoint_ms=96),
            ev.ConfigChanged(instructions="sing"),
        ]
        self.play(self.random.choice(events))

    def pick(self, ids: list[Any]) -> Any:
        """Mostly the last, else any of them."""
        return ids[-1] if self.random.random() < 0.7 else self.random.choice(ids)


def spoken_words_of(text: str) -> list[Word]:
    """Word times for a random transcript."""
    return [Word(word, at * 300, at * 300 + 300) for at, word in enumerate(text.split())]


@pytest.mark.parametrize(
    "policy",
    [FAST, replace(FAST, speculation="reply"), replace(FAST, incremental_stt=True)],
    ids=["plain", "speculative", "incremental"],
)
def test_any_call_keeps_its_promises(policy: TurnPolicy) -> None:
    """Replies start and end once, stale ids do nothing, each Tick makes progress, all ends."""
    seen: set[type] = set()
    for seed in range(25):
        call = RandomCall(policy, seed)
        for _ in range(STEPS):
            call.step()
        call.play(ev.HangUp())
        call.check()
        call.step()
        assert call.checker.ended
        assert call.checker.live is None
        assert not call.checker.running
        seen |= {type(one) for one in call.play.all.told} | {type(one) for one in call.play.all}
    assert {ReplyResumed, ReplyFlushed, ReplyDone, CancelReply, say.CallError, EndCall} <= seen
