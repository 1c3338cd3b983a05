"""Tool calls in a conversation: when they run, what the model is told, what history keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployments.contracts import Message, Tool, ToolCall
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import (
    CancelReply,
    ContinueReply,
    RunTool,
    StartReply,
    Tell,
    WakeReply,
)
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.tooling import CALLS_AT_ONCE, ToolPolicy
from tests.playbook import Playbook, done, wrote

WEATHER = Tool("weather", "How it is outside.")
PAGE = Tool("open_page", "Show a page.")
POLICY = TurnPolicy(tools=ToolPolicy(own=(WEATHER,), max_rounds=2, max_result_chars=10))
OSLO = ToolCall("1", "weather", '{"place": "Oslo"}')
OFFERS = ToolCall("2", "open_page", '{"page": "offers"}')


def typed(policy: TurnPolicy = POLICY, *clients: Tool) -> Playbook:
    """A typed turn, to which a reply was begun."""
    play = Playbook(policy)
    if clients:
        play(ev.ConfigChanged(tools=clients))
    play(ev.TextTyped("hi"))
    return play


def called(*calls: ToolCall, reply_id: str = "reply-1") -> ev.ToolsCalled:
    """The model called tools."""
    return ev.ToolsCalled(reply_id, calls)


def gave(call_id: str, result: str, reply_id: str = "reply-1") -> ev.ToolFinished:
    """One of the server's tools ended."""
    return ev.ToolFinished(reply_id, call_id, result)


def goes_on(*exchange: Message, tools: tuple[Tool, ...] = (WEATHER,)) -> ContinueReply:
    """The model goes on."""
    return ContinueReply("reply-1", (Message("user", "hi"), *exchange), tools)


def exchange(*calls_and_results: tuple[ToolCall, str]) -> tuple[Message, ...]:
    """A round as the model sees it."""
    calls = tuple(call for call, _ in calls_and_results)
    results = (Message("tool", text, (), call.call_id) for call, text in calls_and_results)
    return (Message("assistant", "", calls), *results)


def last_messages(play: Playbook) -> tuple[Message, ...]:
    """What the model is shown of the conversation, by another turn."""
    [start] = [command for command in play(ev.TextTyped("?")) if isinstance(command, StartReply)]
    return start.messages[:-1]


def test_the_model_is_told_of_all_tools() -> None:
    """The server's first; a client's of the same name is not used."""
    play = typed(POLICY, PAGE, Tool("weather", "Mine."))
    assert play.replies["reply-1"].tools == (WEATHER, PAGE)


def test_a_tool_runs_and_the_reply_goes_on() -> None:
    """History keeps the call and its result before what was heard."""
    play = typed()
    play(called(OSLO)) >> [RunTool("reply-1", OSLO)]
    round_one = exchange((OSLO, "rain"))
    play(gave("1", "rain")) >> [goes_on(*round_one)]
    play(wrote("reply-1", "It rains."))
    play(ev.ReplyFinished("reply-1")) >> [done("reply-1", "completed", "It rains.")]
    said = (Message("user", "hi"), *round_one, Message("assistant", "It rains."))
    assert last_messages(play) == said


def test_a_client_runs_its_own_tools() -> None:
    """It is told, answers, and may answer nothing but what it was asked, and once."""
    play = typed(POLICY, PAGE)
    play(called(OSLO, OFFERS)) >> [
        RunTool("reply-1", OSLO),
        Tell(say.ToolCalled("reply-1", "2", "open_page", '{"page": "offers"}')),
    ]
    play(ev.ToolAnswered("1", "a lie")) >> []
    play(ev.ToolAnswered("3", "who?")) >> []
    play(ev.ToolAnswered("2", "shown")) >> []
    play(ev.ToolAnswered("2", "twice")) >> []
    both = exchange((OSLO, "rain"), (OFFERS, "shown"))
    play(gave("1", "rain")) >> [goes_on(*both, tools=(WEATHER, PAGE))]
    play(ev.ToolAnswered("2", "late")) >> []


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (ToolCall("1", "nothing", "{}"), "error: there is no such tool"),
        (ToolCall("1", "weather", "{"), "error: the arguments are not a JSON object"),
        (ToolCall("1", "weather", "[1]"), "error: the arguments are not a JSON object"),
        (ToolCall("1", "weather", '{"a": NaN}'), "error: the arguments are not a JSON object"),
        (ToolCall("1", "weather", "[" * 50_000), "error: the arguments are not a JSON object"),
    ],
)
def test_a_call_that_cannot_be_is_answered_at_once(call: ToolCall, error: str) -> None:
    """Nothing is run, and the model hears why."""
    play = typed()
    play(called(call)) >> [goes_on(*exchange((call, error)))]


def test_calls_at_once_are_bounded() -> None:
    """The rest are not run, and the model is told which."""
    play = typed()
    calls = [ToolCall(str(n), "weather", "{}") for n in range(CALLS_AT_ONCE + 1)]
    commands = play(called(*calls))
    assert len(commands) == CALLS_AT_ONCE
    for call in calls[:-1]:
        commands = play(gave(call.call_id, "ok"))
    [on] = commands
    assert on.messages[-1].content == "error: too many calls at once"


def test_results_are_bounded() -> None:
    """A tool cannot fill the model's context."""
    play = typed()
    play(called(OSLO))
    play(gave("1", "x" * 1_000)) >> [goes_on(*exchange((OSLO, "x" * 10 + " (cut)")))]


def test_rounds_are_bounded() -> None:
    """After the last the model has no tools left to call."""
    play = typed()
    play(called(OSLO))
    play(gave("1", "a"))
    again = ToolCall("9", "weather", "{}")
    play(called(again)) >> [RunTool("reply-1", again)]
    play(gave("9", "b")) >> [goes_on(*exchange((OSLO, "a")), *exchange((again, "b")), tools=())]


def test_a_client_that_does_not_answer_is_given_up_on() -> None:
    """The model is told after `client_ms`, and the reply goes on."""
    play = typed(POLICY, PAGE)
    play(called(OFFERS))
    play.wait(14_900) >> []
    late = exchange((OFFERS, "error: the tool did not answer in time"))
    play.wait(200) >> [goes_on(*late, tools=(WEATHER, PAGE))]


def test_waiting_for_a_tool_is_no_silence_of_the_model() -> None:
    """The reply's own time-out starts anew when the model may go on."""
    play = typed(replace(POLICY, stage_timeout_ms=5_000))
    play.wait(4_000)
    play(called(OSLO))
    play.wait(60_000) >> []
    play(gave("1", "rain"))
    play.wait(4_900) >> []
    play.wait(200) >> [
        CancelReply("reply-1"),
        Tell(say.CallError("stage_timeout", "the reply did not come in time")),
        done("reply-1", "failed"),
    ]


def test_an_interruption_ends_the_wait() -> None:
    """History says that nobody knows whether the call was done; its result is not waited for."""
    play = typed()
    play(called(OSLO))
    play(ev.InterruptRequested()) >> [CancelReply("reply-1"), done("reply-1", "interrupted")]
    play(gave("1", "rain")) >> []
    unknown = exchange((OSLO, "error: interrupted, it may have been done or not"))
    assert last_messages(play) == (Message("user", "hi"), *unknown)


def test_a_speculative_reply_holds_at_a_tool_until_the_commit() -> None:
    """Nothing is run for a turn that may go on; at the commit it runs at once."""
    play = Playbook(replace(POLICY, speculation="reply", partial_every_ms=5_000))
    play.speech(320)
    play.silence(64)
    play.transcript("hi")
    play(called(OSLO)) >> []
    play.silence(416) >> []
    play.silence(32) >> [
        Tell(say.SpeechStopped(320)),
        Tell(say.FinalTranscript("hi", 0, 320)),
        Tell(say.ReplyStarted("reply-1")),
        RunTool("reply-1", OSLO),
        WakeReply("reply-1"),
    ]


def test_a_dropped_speculation_has_called_nothing() -> None:
    """The caller goes on: the reply ends, and history does not know that it wanted a tool."""
    play = Playbook(replace(POLICY, speculation="reply", partial_every_ms=5_000))
    play.speech(320)
    play.silence(64)
    play.transcript("hi")
    play(called(OSLO)) >> []
    commands = play.speech(320)
    assert CancelReply("reply-1") in commands
    assert not [command for command in play.all if isinstance(command, RunTool)]
    assert last_messages(play) == ()


def test_another_replys_tools_are_no_concern() -> None:
    """Events with a stale id are dropped."""
    play = typed()
    play(called(OSLO, reply_id="reply-0")) >> []
    play(gave("1", "rain", reply_id="reply-0")) >> []


def test_new_tools_count_from_the_next_reply() -> None:
    """A reply keeps the tools it began with."""
    play = typed(POLICY, PAGE)
    play(ev.ConfigChanged(tools=()))
    assert play(called(OFFERS)).told == [
        say.ToolCalled("reply-1", "2", "open_page", '{"page": "offers"}')
    ]
    play(ev.TextTyped("again"))
    assert play.replies["reply-2"].tools == (WEATHER,)


def test_forgetting_leaves_no_result_without_its_call() -> None:
    """Models refuse a tool's message that answers nothing."""
    play = typed(replace(POLICY, max_history_chars=30))
    play(called(OSLO))
    play(gave("1", "rain"))
    play(wrote("reply-1", "It rains."))
    play(ev.ReplyFinished("reply-1"))
    play(ev.TextTyped("and tomorrow"))
    assert play.replies["reply-2"].messages[0].role != "tool"


def test_a_reply_outside_the_conversation_keeps_its_calls_to_itself() -> None:
    """It may use tools; history knows neither them nor the reply."""
    play = Playbook(POLICY)
    play(ev.ReplyRequested("asked", messages=(Message("user", "hi"),), remembered=False))
    play(called(OSLO)) >> [RunTool("reply-1", OSLO)]
    play(gave("1", "rain")) >> [goes_on(*exchange((OSLO, "rain")))]
    play(wrote("reply-1", "It rains."))
    play(ev.ReplyFinished("reply-1"))
    assert last_messages(play) == ()


def test_a_text_that_is_given_has_no_tools() -> None:
    """No model is asked."""
    play = Playbook(POLICY)
    play(ev.ReplyRequested("asked", text="Welcome."))
    assert play.replies["reply-1"].tools == ()
