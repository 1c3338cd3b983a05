"""What is kept of a conversation that is too long, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import BadInput, Message, ToolCall
from deployments.history_budget import TURNS_AT_ONCE, estimated_tokens, within_budget

_texts = st.text("ab ", max_size=12)
_messages = st.lists(
    st.builds(Message, st.sampled_from(["user", "assistant", "tool"]), _texts), max_size=40
)


def length(message: Message) -> int:
    """A token a character, and one for the message."""
    return len(message.content) + 1


def turns(count: int) -> list[Message]:
    """Turns of two messages, each of 10 tokens."""
    return [
        Message(role, f"{n:04}{role:.5}"[:9].ljust(9))  # type: ignore[arg-type]
        for n in range(count)
        for role in ("user", "assistant")
    ]


def test_what_fits_is_kept_whole() -> None:
    """Up to the last token."""
    said = [Message("system", "s" * 9), *turns(3)]
    assert within_budget(said, 70, length) == tuple(said)


def test_the_oldest_turns_go_first_and_several_at_once() -> None:
    """So the prompt begins the same for several turns, and a prefix cache serves it."""
    system = Message("system", "s" * 9)
    kept = [within_budget([system, *turns(n)], 200, length) for n in range(9, 9 + TURNS_AT_ONCE)]
    assert [messages[1].content[:4] for messages in kept] == ["0000", *["0004"] * 3]
    assert all(messages[0] is system for messages in kept)


def test_a_tools_result_goes_with_its_call() -> None:
    """A turn is the user's message and all that came of it."""
    call = Message("assistant", "", (ToolCall("1", "look", "{}"),))
    said = [Message("user", "a" * 50), call, Message("tool", "b" * 50), Message("user", "c")]
    assert within_budget(said, 60, length) == (said[-1],)


def test_the_newest_turn_with_its_tools_is_never_cut() -> None:
    """It does not fit, and that is said, with both figures."""
    said = [Message("system", "sys"), Message("user", "a" * 9), Message("tool", "b" * 50)]
    with pytest.raises(BadInput, match=r"65 tokens long, and 64 fit"):
        within_budget(said, 64, length)
    assert within_budget(said, 65, length) == tuple(said)


@given(_messages, _texts, st.integers(0, 400))
def test_whatever_was_said(messages: list[Message], last: str, budget: int) -> None:
    """What is kept fits, is the end of what was said, begins with a turn, and is not too little."""
    said = [Message("system", "be"), *messages, Message("user", last)]
    least = length(said[0]) + length(said[-1])
    if least > budget:
        with pytest.raises(BadInput):
            within_budget(said, budget, length)
        return
    kept = within_budget(said, budget, length)
    assert sum(map(length, kept)) <= budget
    assert kept[0] == said[0]
    assert list(kept[1:]) == said[len(said) - len(kept) + 1 :]
    if len(kept) < len(said):
        assert kept[1].role == "user"
    if sum(map(length, said)) <= budget:
        assert list(kept) == said


@given(st.text())
def test_an_estimate_is_never_free(text: str) -> None:
    """Every message counts, and a longer one no less."""
    assert estimated_tokens(Message("user", text)) > 0
    assert estimated_tokens(Message("user", text + "more")) >= estimated_tokens(
        Message("user", text)
    )


def test_an_estimate_counts_scripts_and_calls() -> None:
    """English has 4 characters a token, Chinese 1; a call's arguments are part of its message."""
    english = estimated_tokens(Message("user", "a" * 400))
    assert english == estimated_tokens(Message("user", "好" * 100))
    assert estimated_tokens(Message("assistant", "", (ToolCall("1", "n", "x" * 399),))) == english
