"""The conversation's messages and their bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import Message, ToolCall
from serve_app.conversation.history import UNANSWERED, History


def test_messages_come_in_order_after_the_instructions() -> None:
    """The model sees the instructions, then who said what, then the turn not yet taken in."""
    history = History("be brief", 100)
    history.add_caller("hello")
    history.add_agent("hi")
    expected = (
        Message("system", "be brief"),
        Message("user", "hello"),
        Message("assistant", "hi"),
    )
    assert history.messages() == expected
    assert history.messages(said="bye") == (*expected, Message("user", "bye"))
    assert history.messages() == expected


def test_no_instructions_no_system_message() -> None:
    """Empty instructions are left out."""
    assert History("", 100).messages() == ()


def test_instructions_may_change() -> None:
    """New instructions replace the old."""
    history = History("be brief", 100)
    history.instructions = "sing"
    assert history.messages() == (Message("system", "sing"),)


def test_unheard_reply_leaves_no_trace() -> None:
    """A reply nobody heard is not in the history."""
    history = History("", 100)
    history.add_agent("")
    assert history.messages() == ()


def test_oldest_are_forgotten() -> None:
    """Beyond the bound the oldest messages go; at the bound they stay."""
    history = History("instructions do not count", 10)
    history.add_caller("12345")
    history.add_agent("67890")
    assert len(history.messages()) == 3
    history.add_caller("x")
    assert history.messages()[1:] == (Message("assistant", "67890"), Message("user", "x"))


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1), st.integers(0, 60))
def test_bound_holds_and_newest_stays(texts: list[str], max_chars: int) -> None:
    """Whatever is said, what is kept is the newest, in order, within the bound."""
    history = History("", max_chars)
    for text in texts:
        history.add_caller(text)
    kept = [message.content for message in history.messages()]
    assert kept == texts[-len(kept) :]
    assert len(kept) == 1 or sum(map(len, kept)) <= max_chars
    longer = texts[-len(kept) - 1 :]
    assert len(kept) == len(texts) or sum(map(len, longer)) > max_chars


def test_what_a_tool_gave_goes_with_its_call() -> None:
    """Beyond the bound no result stays without its call; a client puts nothing between them."""
    call = ToolCall("1", "weather", "{}")
    exchange = [Message("assistant", "", (call,)), Message("tool", "rain", tool_call_id="1")]
    history = History("", 10)
    history.add_caller("how is it", "m")
    history.add_exchange(exchange)
    assert history.messages() == tuple(exchange)
    history.insert(Message("system", "hi"), "n", after="")
    assert history.messages()[1:] == tuple(exchange)
    history.add_exchange([exchange[0], Message("tool", "x" * 11, tool_call_id="1")])
    assert history.messages() == ()


def test_one_call_of_a_round_can_be_forgotten() -> None:
    """With what it gave; the others stay, and the bound counts them alone."""
    history = History("", 30)
    first, second = ToolCall("1", "a", "{}"), ToolCall("2", "b", "{}")
    gave = [Message("tool", text, (), call_id) for text, call_id in (("x", "1"), ("y", "2"))]
    history.add_exchange((Message("assistant", "", (first, second)), *gave))
    history.remove("call-1")
    assert history.messages() == (Message("assistant", "", (second,)), gave[1])
    history.add_caller("z" * 27)
    assert len(history.messages()) == 3
    history.remove("call-2")
    assert history.messages() == (Message("user", "z" * 27),)


def test_a_repeated_id_means_the_last_call() -> None:
    """Some models number the calls of each round alike."""
    history = History("", 1_000)
    call = ToolCall("1", "a", "{}")
    history.add_call(call)
    history.add_call(call)
    history.answer("1", "new")
    history.answer("9", "unknown")
    results = [message.content for message in history.messages() if message.role == "tool"]
    assert results == [UNANSWERED, "new"]
