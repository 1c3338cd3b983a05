"""Tools of a client that asks for each reply itself: the reply ends with its calls."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import ANY

import pytest

from deployments.contracts import Message, Tool, ToolCall
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import (
    CancelReply,
    EndReply,
    RunTool,
    StartReply,
    Tell,
    WakeReply,
)
from serve_app.conversation.history import UNANSWERED
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.tool_choice import ToolChoice
from serve_app.conversation.tooling import ToolPolicy
from tests.playbook import Playbook, done, wrote

WEATHER = Tool("weather", "How it is outside.")
PAGE = Tool("open_page", "Show a page.")
POLICY = TurnPolicy(tools=ToolPolicy(own=(WEATHER,), client_ms=2_000, max_result_chars=10))
OFFERS = ToolCall("1", "open_page", '{"page": "offers"}')
TERMS = ToolCall("2", "open_page", '{"page": "terms"}')
OSLO = ToolCall("3", "weather", '{"place": "Oslo"}')
HI = Message("user", "hi")


def typed(policy: TurnPolicy = POLICY) -> Playbook:
    """A typed turn, to which a reply was begun."""
    play = Playbook(policy)
    play(ev.ConfigChanged(tools=(PAGE,), continues=False))
    play(ev.TextTyped("hi"))
    return play


def told(call: ToolCall, reply_id: str = "reply-1") -> Tell:
    """The client is told of a call."""
    return Tell(say.ToolCalled(reply_id, call.call_id, call.name, call.arguments_json))


def exchange(*calls_and_results: tuple[ToolCall, str]) -> tuple[Message, ...]:
    """A round as the model sees it."""
    calls = tuple(call for call, _ in calls_and_results)
    results = (Message("tool", text, (), call.call_id) for call, text in calls_and_results)
    return (Message("assistant", "", calls), *results)


def answered(play: Playbook) -> tuple[Message, ...]:
    """What the next reply that the client asks for answers."""
    commands = play(ev.ReplyRequested())
    [start] = [command for command in commands if isinstance(command, StartReply)]
    return start.messages


def test_the_reply_ends_and_the_client_asks_for_the_next() -> None:
    """What was heard before the calls, the calls, what they gave: the next reply knows it all."""
    play = typed()
    play(wrote("reply-1", "Let me see.")) >> [Tell(say.ReplyText("reply-1", "Let me see."))]
    play(ev.ToolsCalled("reply-1", (OFFERS, TERMS))) >> [
        told(OFFERS),
        told(TERMS),
        EndReply("reply-1"),
    ]
    play(ev.ToolAnswered("2", "shown")) >> []
    play(ev.ReplyFinished("reply-1")) >> [done("reply-1", "completed", "Let me see.")]
    play(ev.ToolAnswered("1", "no such page")) >> []
    both = exchange((OFFERS, "no such pa (cut)"), (TERMS, "shown"))
    assert answered(play) == (HI, Message("assistant", "Let me see."), *both)


def test_a_request_made_before_the_words_were_spoken_waits_for_them() -> None:
    """The tool was quick: the next reply begins when this one is over."""
    play = typed()
    play(ev.ToolsCalled("reply-1", (OFFERS,)))
    play(ev.ToolAnswered("1", "shown")) >> []
    play(ev.ReplyRequested("q1")) >> []
    play(ev.ReplyFinished("reply-1")) >> [
        done("reply-1", "completed"),
        StartReply("reply-2", (HI, *exchange((OFFERS, "shown"))), ANY, (WEATHER, PAGE)),
        Tell(say.ReplyStarted("reply-2", "q1")),
    ]


def test_the_client_has_all_the_time_it_wants() -> None:
    """Its tools do not expire; until they answer the model is told so."""
    play = typed()
    play(ev.ToolsCalled("reply-1", (OFFERS,)))
    play(ev.ReplyFinished("reply-1"))
    play.wait(60_000) >> []
    play(ev.TextTyped("well?"))
    unanswered = exchange((OFFERS, UNANSWERED))
    assert play.replies["reply-2"].messages == (HI, *unanswered, Message("user", "well?"))


def test_our_own_tools_of_the_round_are_run_first() -> None:
    """Their results are in the history beside the client's."""
    play = typed()
    play(ev.ToolsCalled("reply-1", (OFFERS, OSLO))) >> [told(OFFERS), RunTool("reply-1", OSLO)]
    play(ev.ToolFinished("reply-1", "3", "rain")) >> [EndReply("reply-1")]
    play(ev.ReplyFinished("reply-1"))
    assert answered(play) == (HI, *exchange((OFFERS, UNANSWERED), (OSLO, "rain")))


def test_a_reply_goes_on_with_our_own_tools_alone() -> None:
    """The client has no part in it."""
    play = typed()
    play(ev.ToolsCalled("reply-1", (OSLO,)))
    [on] = play(ev.ToolFinished("reply-1", "3", "rain"))
    play(ev.ToolsCalled("reply-1", (OFFERS,))) >> [told(OFFERS), EndReply("reply-1")]
    play(wrote("reply-1", "There."))
    play(ev.ReplyFinished("reply-1"))
    said = Message("assistant", "There.")
    rain, offers = exchange((OSLO, "rain")), exchange((OFFERS, UNANSWERED))
    assert on == replace(on, messages=(HI, *rain))
    assert answered(play) == (HI, *rain, said, *offers)


def test_a_call_may_be_answered_though_its_reply_was_interrupted() -> None:
    """The client did what it was told, whatever the caller said."""
    play = typed()
    play(ev.ToolsCalled("reply-1", (OFFERS,)))
    play(ev.InterruptRequested()) >> [CancelReply("reply-1"), done("reply-1", "interrupted")]
    play(ev.ToolAnswered("1", "shown")) >> []
    assert answered(play) == (HI, *exchange((OFFERS, "shown")))


def test_text_that_was_held_back_is_told_before_the_call() -> None:
    """At the commit of a reply that was begun ahead: its words, then what it calls."""
    play = Playbook(replace(POLICY, speculation="reply", partial_every_ms=5_000))
    play(ev.ConfigChanged(tools=(PAGE,), continues=False))
    play.speech(320)
    play.silence(64)
    play.transcript("hi")
    play(wrote("reply-1", "Let me see.")) >> []
    play(ev.ToolsCalled("reply-1", (OFFERS,))) >> []
    play.silence(416) >> []
    play.silence(32) >> [
        Tell(say.SpeechStopped(320)),
        Tell(say.FinalTranscript("hi", 0, 320)),
        Tell(say.ReplyStarted("reply-1")),
        Tell(say.ReplyText("reply-1", "Let me see.")),
        told(OFFERS),
        EndReply("reply-1"),
        WakeReply("reply-1"),
    ]


@pytest.mark.parametrize(
    ("choice", "offered", "must_call"),
    [
        (ToolChoice(), (WEATHER, PAGE), False),
        (ToolChoice(must=True), (WEATHER, PAGE), True),
        (ToolChoice(only=()), (), False),
        (ToolChoice(only=("open_page",), must=True), (PAGE,), True),
        (ToolChoice(only=("unknown",), must=True), (), False),
    ],
)
def test_the_client_chooses(choice: ToolChoice, offered: tuple[Tool, ...], must_call: bool) -> None:
    """For the call, or for one reply."""
    play = Playbook(POLICY)
    play(ev.ConfigChanged(tools=(PAGE,), tool_choice=choice))
    play(ev.ReplyRequested(text=None))
    play(ev.InterruptRequested())
    play(ev.ConfigChanged(tools=(), tool_choice=ToolChoice()))
    play(ev.ReplyRequested(tools=(PAGE,), tool_choice=choice))
    for start in play.replies.values():
        assert (start.tools, start.must_call) == (offered, must_call)


def test_the_history_takes_calls_from_the_client() -> None:
    """One it brings from elsewhere has no result until it says so; both can be forgotten."""
    play = Playbook(POLICY)
    play(ev.ConfigChanged(continues=False))
    play(ev.MessageAdded("m1", "user", "hi"))
    play(ev.MessageAdded("m2", "assistant", "Here."))
    play(ev.ToolCallAdded(OFFERS, "m1")) >> []
    play(ev.ToolAnswered("1", "shown"))
    here = Message("assistant", "Here.")
    assert answered(play) == (HI, *exchange((OFFERS, "shown")), here)
    play(ev.InterruptRequested())
    play(ev.MessageRemoved("call-1"))
    assert answered(play) == (HI, here)
