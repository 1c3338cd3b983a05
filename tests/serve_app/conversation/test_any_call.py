"""Calls in which anything happens at any time: what must hold of every conversation."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from deployments.contracts import Tool, ToolCall, Word
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import (
    ReplyDone,
    ReplyFlushed,
    ReplyResumed,
    ReplyStarted,
)
from serve_app.conversation.commands import (
    CancelReply,
    ContinueReply,
    EndCall,
    EndReply,
    RunTool,
    StartReply,
    Tell,
    WakeReply,
)
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.tooling import ToolPolicy
from tests.playbook import Playbook

STEPS = 150
FAST = TurnPolicy(
    max_turn_ms=3_000,
    partial_window_ms=1_000,
    idle_ms=6_000,
    max_call_ms=90_000,
    stage_timeout_ms=2_500,
    tools=ToolPolicy(own=(Tool("weather", "How it is."),), client_ms=2_000),
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
            case (
                RunTool(reply_id=reply_id)
                | ContinueReply(reply_id=reply_id)
                | EndReply(reply_id=reply_id)
            ):
                assert reply_id == self.live
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
                    say.ReplyText()
                    | say.ToolCalled()
                    | say.TurnTimings()
                    | ReplyFlushed()
                    | ReplyResumed()
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
            self.hush: 4,
            self.transcribe: 6,
            self.judge: 3,
            self.make_reply: 6,
            self.end_reply: 2,
            self.use_tools: 2,
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

    def hush(self) -> None:
        """The level drops or rises, be it so or not."""
        now_ms = self.play.audio_ms + self.random.randint(0, 20)
        self.play(self.random.choice([ev.LevelDropped(now_ms - 15, now_ms), ev.LevelRose(now_ms)]))

    def wait(self) -> None:
        """No audio comes."""
        self.play.wait(self.random.choice([20, 300, 1_500, 3_000]))

    def transcribe(self) -> None:
        """A window, mostly the last, is transcribed or fails."""
        if not self.play.windows:
            return
        window = self.pick([w.window_id for w in self.play.windows])
        text = self.random.choice(["", "yes", "yes no", "yes no so", "five", None])
        if text is None:
            self.play.no_transcript(window)
        else:
            self.play.transcript(text, window, words=spoken_words_of(text))

    def judge(self) -> None:
        """A pause, mostly the last, is judged."""
        if self.play.pauses:
            pause = self.pick([p.pause_id for p in self.play.pauses])
            self.play.judged(self.random.choice([0.1, 0.9, None]), pause)

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

    def use_tools(self) -> None:
        """A reply calls tools, or one of those that it called ends, here or at the client."""
        if not self.play.replies:
            return
        reply_id = self.pick(list(self.play.replies))
        call_id = self.random.choice(["1", "2"])
        name = self.random.choice(["weather", "open_page", "nothing"])
        calls = (ToolCall(call_id, name, "{}"), ToolCall("3", "weather", "{"))
        events = [
            ev.ToolsCalled(reply_id, calls),
            ev.ToolFinished(reply_id, call_id, "rain"),
            ev.ToolAnswered(call_id, "shown"),
        ]
        self.play(self.random.choice(events))

    def ask(self) -> None:
        """The client wants something."""
        events = [
            ev.TextTyped("typed"),
            ev.CommitRequested(),
            ev.InterruptRequested(),
            ev.ConfigChanged(endpoint_ms=96),
            ev.ConfigChanged(instructions="sing"),
            ev.ConfigChanged(silence_ms=self.random.choice([0, 2_000])),
            ev.ConfigChanged(detects_turns=self.random.random() < 0.8),
            ev.ConfigChanged(answers_turns=self.random.random() < 0.8),
            ev.ConfigChanged(interruptible=self.random.random() < 0.8),
            ev.ConfigChanged(speaks=self.random.random() < 0.8),
            ev.HearingCleared(),
            ev.ReplyRequested("asked", remembered=self.random.random() < 0.5),
            ev.ReplyTruncated(self.pick([*self.play.replies, "reply-1"]), 300),
            ev.MessageAdded("mine", "system", "be kind", self.random.choice(["", "mine", None])),
            ev.MessageRemoved("mine"),
            ev.ConfigChanged(tools=(Tool("open_page", "Show a page."),)),
            ev.ToolCallAdded(ToolCall("1", "open_page", "{}"), "mine"),
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
    [
        FAST,
        replace(FAST, speculation="reply"),
        replace(FAST, resumes=False, speculation="reply"),
        replace(FAST, incremental_stt=True),
        replace(FAST, incremental_stt=True, speculation="llm"),
        replace(FAST, endpoint_ms=200, judged_pauses=True, speculation="reply"),
    ],
    ids=["plain", "speculative", "discreet", "incremental", "incremental speculative", "judged"],
)
def test_any_call_keeps_its_promises(policy: TurnPolicy) -> None:
    """Replies start and end once, stale ids do nothing, each Tick makes progress, all ends."""
    seen: set[type] = set()
    for seed in range(25):
        call = RandomCall(policy, seed)
        page = Tool("open_page", "Show a page.")
        call.play(ev.ConfigChanged(tools=(page,), continues=seed % 2 == 0))
        for _ in range(STEPS):
            call.step()
        call.play(ev.HangUp())
        call.check()
        call.step()
        assert call.checker.ended
        assert call.checker.live is None
        assert not call.checker.running
        seen |= {type(one) for one in call.play.all.told} | {type(one) for one in call.play.all}
    wanted = {ReplyFlushed, ReplyDone, CancelReply, say.CallError, EndCall}
    assert wanted | {RunTool, ContinueReply, EndReply, say.ToolCalled} <= seen
    assert (ReplyResumed in seen) is policy.resumes
