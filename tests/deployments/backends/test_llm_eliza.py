"""ELIZA: its rules, its picks, and what callers may say to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.backends.llm_eliza import Eliza
from deployments.contracts import BadInput, Message, ReplyRequest


@pytest.fixture(scope="module")
def eliza() -> Eliza:
    """A loaded one, whose picks are foretold."""
    backend = Eliza(seed=7)
    asyncio.run(backend.load())
    return backend


def asked(*said: str) -> ReplyRequest:
    """A conversation in which the caller said these, and the agent yes to each but the last."""
    spoken = [Message("user", text) for text in said]
    turns = [turn for message in spoken for turn in (message, Message("assistant", "Yes."))]
    return ReplyRequest((Message("system", "Be kind."), *turns[:-1]))


async def deltas(reply: AsyncIterator[object]) -> list[object]:
    """All of a reply."""
    return [delta async for delta in reply]


def test_answers_are_those_of_the_first_rule_that_matches(eliza: Eliza) -> None:
    """The caller's words come back turned round, in every answer of the rule."""
    assert eliza.answers("I need my coffee") == (
        "Why do you need your coffee?",
        "Would it really help you to get your coffee?",
        "Are you sure you need your coffee?",
    )


async def test_reply_is_the_answer_to_the_last_message(eliza: Eliza) -> None:
    """Earlier turns do not matter, and the words join to the answer."""
    words = await deltas(eliza.reply(asked("i am tired", "i need a rest")))
    assert "".join(word.text for word in words) == eliza.answer("i need a rest")  # type: ignore[attr-defined]
    assert len(words) > 3


def test_a_seed_foretells_the_answer(eliza: Eliza) -> None:
    """The pick depends on seed and message alone: the same twice, and not one for all seeds."""
    assert {eliza.answer("hello there") for _ in range(5)} == {eliza.answer("hello there")}
    picks: set[str] = set()
    for seed in range(20):
        other = Eliza(seed=seed)
        asyncio.run(other.load())
        picks.add(other.answer("hello there"))
    assert picks == set(eliza.answers("hello there"))


def test_without_a_seed_the_answer_varies() -> None:
    """Left to chance, forty greetings are not all answered alike."""
    eliza = Eliza()
    asyncio.run(eliza.load())
    assert len({eliza.answer("hello there") for _ in range(40)}) > 1


def test_a_percent_sign_is_not_a_placeholder(eliza: Eliza) -> None:
    """ "%1" in the caller's words would be substituted for ever by nltk."""
    assert "why do you need 5 percent 1?" in {a.lower() for a in eliza.answers("i need 5%1")}


def test_lines_are_one_message(eliza: Eliza) -> None:
    """A line break does not hide what follows it."""
    assert eliza.answers("i need\nmy coffee!") == eliza.answers("i need my coffee")


@pytest.mark.parametrize("said", ["", "  \n", "!.", "..."])
def test_nothing_said_is_refused(eliza: Eliza, said: str) -> None:
    """Blank messages have no answer."""
    with pytest.raises(BadInput):
        eliza.answers(said)


async def test_no_user_message_is_refused(eliza: Eliza) -> None:
    """A conversation in which only others spoke has nothing to answer."""
    with pytest.raises(BadInput):
        await deltas(eliza.reply(ReplyRequest((Message("assistant", "Hello?"),))))


@settings(max_examples=200, deadline=500)
@given(st.text(min_size=1).filter(lambda text: text.strip(" \t\n\r.!") != ""))
def test_any_text_is_answered(eliza: Eliza, said: str) -> None:
    """Whatever is said, some answer comes soon, with no placeholder left in it."""
    try:
        answers = eliza.answers(said)
    except BadInput:
        assert not "".join(said.split()).strip("!.")
        return
    assert all(answers)
    assert not any("%" in answer for answer in answers)


def test_a_very_long_message_is_answered_soon(eliza: Eliza) -> None:
    """A megabyte of words is cut before the rules see it: they would take minutes."""
    assert eliza.answers("because i want sorry " * 50_000)
