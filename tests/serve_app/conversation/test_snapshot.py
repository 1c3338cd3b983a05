"""A conversation that breaks off and goes on elsewhere: what is kept, owed and never repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import Message, Tool, ToolCall
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import ContinueReply, RunTool, StartReply, Tell
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.snapshot import CutReply, Snapshot, decisive, merged, unheard
from serve_app.conversation.spoken_text import SpokenText
from serve_app.conversation.tooling import ToolPolicy
from serve_app.conversation.turn import TurnMachine
from tests.playbook import Playbook, done
from tests.serve_app.conversation.test_any_call import FAST, RandomCall

WORDS = "One two three four five six seven eight nine ten."


def broken_off(play: Playbook) -> Playbook:
    """The same conversation at another replica, which has just begun it again."""
    kept = play.machine.snapshot(play.now)
    elsewhere = Playbook(TurnPolicy())
    elsewhere.machine.restore(kept)
    return elsewhere


def asked_for(play: Playbook) -> tuple[tuple[str, str], ...]:
    """What the last reply's model was shown."""
    last = list(play.replies.values())[-1]
    return tuple((message.role, message.content) for message in last.messages)


def test_a_settled_conversation_owes_nothing() -> None:
    """After a reply that was played nothing is begun; the next turn is answered with it all."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.wait(5_000)
    play(ev.ReplyFinished("reply-1"))
    elsewhere = broken_off(play)
    elsewhere(ev.ConfigChanged()) >> []
    elsewhere(ev.TextTyped("and then?"))
    assert list(elsewhere.replies) == ["reply-2"]
    assert asked_for(elsewhere) == (("user", "hi"), ("assistant", WORDS), ("user", "and then?"))


def test_a_reply_nobody_heard_is_given_anew() -> None:
    """A committed turn is not lost: it is answered, once."""
    play = Playbook(TurnPolicy())
    play(ev.TextTyped("hi"))
    elsewhere = broken_off(play)
    elsewhere(ev.ConfigChanged())
    assert list(elsewhere.replies) == ["reply-2"]
    assert asked_for(elsewhere) == (("user", "hi"),)
    assert elsewhere.machine.snapshot(elsewhere.now).turns == 1
    elsewhere(ev.ConfigChanged()) >> []


def test_a_reply_goes_on_where_it_was_not_heard() -> None:
    """History keeps what was heard; the rest is said as it was written, and no model asked."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.wait(1_000)
    heard = play.machine.snapshot(play.now).cut.heard
    assert heard == "One two three four"
    elsewhere = broken_off(play)
    elsewhere(ev.ConfigChanged())
    rest = elsewhere.replies["reply-2"]
    assert rest.text == "five six seven eight nine ten."
    elsewhere(ev.ReplyTextWritten("reply-2", rest.text))
    elsewhere.voice(rest.text)
    elsewhere.wait(5_000)
    elsewhere(ev.ReplyFinished("reply-2")) >> [done("reply-2", "completed", rest.text)]
    elsewhere(ev.TextTyped("bye"))
    assert asked_for(elsewhere) == (
        ("user", "hi"),
        ("assistant", heard),
        ("assistant", rest.text),
        ("user", "bye"),
    )


def test_what_a_client_is_told_of_it() -> None:
    """Turns, messages, the last turn, and what was heard of its answer, in both its pieces."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.wait(1_000)
    second = broken_off(play)
    second(ev.ConfigChanged())
    second(ev.ReplyTextWritten("reply-2", second.replies["reply-2"].text))
    second.voice(second.replies["reply-2"].text)
    second.wait(800)
    told = second.machine.snapshot(second.now).told()
    assert told == say.ConversationResumed(1, 3, "hi", "One two three four five six seven")
    assert Snapshot().told() == say.ConversationResumed(0, 0, "", "")


def test_it_may_break_off_again_in_the_rest() -> None:
    """The third connection says what neither of the others did."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.wait(1_000)
    second = broken_off(play)
    second(ev.ConfigChanged())
    second(ev.ReplyTextWritten("reply-2", second.replies["reply-2"].text))
    second.voice(second.replies["reply-2"].text)
    second.wait(800)
    third = broken_off(second)
    third(ev.ConfigChanged())
    assert list(third.replies) == ["reply-3"]
    assert third.replies["reply-3"].text == "eight nine ten."


def test_tools_are_not_called_twice() -> None:
    """What a tool gave is in the history; of one that ran, that nobody knows."""
    policy = TurnPolicy(tools=ToolPolicy(own=(Tool("weather", "How it is."),)))
    play = Playbook(policy)
    play(ev.TextTyped("how is it?"))
    play(ev.ToolsCalled("reply-1", (ToolCall("1", "weather", "{}"),)))
    elsewhere = Playbook(policy)
    elsewhere.machine.restore(play.machine.snapshot(play.now))
    elsewhere(ev.ConfigChanged())
    *_, called, gave = elsewhere.replies["reply-2"].messages
    assert called.tool_calls[0].call_id == "1"
    assert gave == Message(
        "tool", "error: interrupted, it may have been done or not", tool_call_id="1"
    )


def test_what_is_held_back_is_not_kept() -> None:
    """A speculative reply to a turn that was not committed is nobody's business."""
    play = Playbook(TurnPolicy(speculation="reply"))
    play.speech(320)
    play.silence(128)
    play.transcript("hello")
    assert play.replies
    kept = play.machine.snapshot(play.now)
    assert (kept.messages, kept.turns, kept.cut) == ((), 0, None)


def test_settings_are_those_in_force() -> None:
    """The last word on each setting goes on to count, and counts at once."""
    play = Playbook(TurnPolicy())
    play(ev.ConfigChanged(instructions="sing", voice="anna", endpoint_ms=900))
    play(ev.ConfigChanged(endpoint_ms=1_600))
    elsewhere = broken_off(play)
    kept = elsewhere.machine.snapshot(elsewhere.now)
    assert kept.config == ev.ConfigChanged(instructions="sing", voice="anna", endpoint_ms=1_600)
    elsewhere.speech(320)
    assert not [told for told in elsewhere.silence(1_500) if isinstance(told, Tell)]
    elsewhere.transcript("hello")
    elsewhere.silence(200)
    assert asked_for(elsewhere) == (("system", "sing"), ("user", "hello"))


def test_turns_that_waited_for_an_end_are_answered_after_it() -> None:
    """Of a reply that may not be interrupted first the rest, then the answer."""
    play = Playbook(TurnPolicy())
    play(ev.ConfigChanged(interruptible=False))
    play.speaking(WORDS)
    play.turn("stop it")
    elsewhere = broken_off(play)
    assert elsewhere.machine.snapshot(elsewhere.now).turns == 2
    elsewhere(ev.ConfigChanged())
    assert elsewhere.replies["reply-2"].text is not None
    elsewhere(ev.ReplyFinished("reply-2"))
    assert elsewhere.replies["reply-3"].text is None
    assert ("user", "stop it") in asked_for(elsewhere)


def test_connections_share_one_longest_call() -> None:
    """Coming back does not wind the clock up again."""
    policy = TurnPolicy(max_call_ms=10_000, idle_ms=60_000)
    machine = TurnMachine(policy, "", 100.0)
    assert machine.snapshot(104.0).lasted_s == pytest.approx(4)
    elsewhere = TurnMachine(policy, "", 50.0)
    elsewhere.restore(machine.snapshot(104.0))
    assert elsewhere.deadline() == pytest.approx(56.0)


@given(
    st.text(st.sampled_from("ab1 ,.*\n$€-'好。"), max_size=60),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_heard_and_rest_are_the_whole(text: str, cut: int, gap: int) -> None:
    """Wherever a reply was cut: what a voice makes of it, once; only marks and spaces may go."""
    spoken = SpokenText("en")
    whole = spoken.feed(text) + spoken.end()
    heard = whole[:cut]
    rest = unheard(text, " ".join([heard[:gap], heard[gap:]]) if heard else "", "en")
    assert whole.endswith(rest)
    left = whole.removesuffix(rest)
    solid = "".join(left.split())
    assert solid.startswith("".join(heard.split()))
    assert not solid.removeprefix("".join(heard.split())).strip(".,;:!?。")


def test_what_is_decisive() -> None:
    """A turn taken, a reply over, a tool that runs; not a partial, not a word of a reply."""
    call = ToolCall("1", "weather", "{}")
    for command in (
        RunTool("reply-1", call),
        ContinueReply("reply-1", (), ()),
        Tell(say.ReplyStarted("reply-1")),
        Tell(say.ReplyDone("reply-1", "completed", "")),
        Tell(say.ToolCalled("reply-1", "1", "open_page", "{}")),
    ):
        assert decisive([Tell(say.SpeechStarted(0)), command])
    assert not decisive([Tell(say.PartialTranscript("so")), Tell(say.ReplyText("reply-1", "a"))])


def test_a_change_leaves_the_rest() -> None:
    """None changes nothing; False is a setting."""
    settled = ev.ConfigChanged(voice="anna", speaks=True)
    assert merged(settled, ev.ConfigChanged(speaks=False)) == replace(settled, speaks=False)
    assert merged(settled, ev.ConfigChanged()) == settled


@given(st.integers(0, 2**32), st.integers(1, 120))
def test_any_conversation_goes_on_elsewhere(seed: int, steps: int) -> None:
    """Whatever happened: nothing said is lost or told twice, and what follows is the same.

    A restored conversation is restored to itself, begins just what is owed, with ids that were
    never used, and shows the model the history and what was heard of the reply that was cut.
    """
    call = RandomCall(FAST, seed)
    for _ in range(steps):
        if call.play.machine.ended:
            return
        call.step()
    if call.play.machine.ended:
        return
    play = call.play
    kept = play.machine.snapshot(play.now)
    elsewhere = Playbook(FAST)
    elsewhere.machine.restore(kept)
    twin = Playbook(FAST)
    twin.machine.restore(kept)
    again = elsewhere.machine.snapshot(elsewhere.now)
    assert again.messages == kept.said()
    assert again.config == kept.config
    assert (again.replies, again.unanswered, again.cut) == (kept.replies, (), None)
    assert again.turns == kept.turns + len(kept.unanswered)
    assert list(again.requests) == kept.owed("en")
    begun = elsewhere(ev.ConfigChanged())
    assert [bare(one) for one in begun] == [bare(one) for one in twin(ev.ConfigChanged())]
    starts = [command for command in begun if isinstance(command, StartReply)]
    assert len(starts) == min(1, len(again.requests))
    assert not set(elsewhere.replies) & set(play.replies)
    for event in (ev.TextTyped("go on"), ev.Tick(), ev.InterruptRequested()):
        assert [bare(one) for one in elsewhere(event)] == [bare(one) for one in twin(event)]


def bare(command: object) -> object:
    """A command without its playout, which is an object of its own."""
    return replace(command, playout=None) if isinstance(command, StartReply) else command


def test_a_snapshot_of_nothing() -> None:
    """A call in which nothing was said keeps nothing, and owes nothing."""
    machine = TurnMachine(TurnPolicy(), "be brief", 0.0)
    assert machine.snapshot(0.0) == Snapshot()
    assert Snapshot().owed("en") == []
    assert CutReply("reply-1", ev.ReplyRequested(), (), "Yes. ", "Yes.").owed("en") == []
