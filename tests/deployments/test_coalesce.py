"""Deltas gathered: the first at once, few after it, nothing lost, the source always closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.coalesce import coalesced
from deployments.contracts import ReplyItem, TextDelta, ToolCall
from tests.fakes import HANG, Script, play
from tests.virtual_time import in_virtual_time, run

EVERY_S, LATER_S = 0.025, 0.1


class Source:
    """A model's deltas by a script; knows whether it was closed."""

    def __init__(self, *script: object) -> None:
        self.script: Script = script
        self.closed = False

    async def __call__(self) -> AsyncGenerator[ReplyItem, None]:
        try:
            async for text in play(self.script):
                yield text if isinstance(text, ToolCall) else TextDelta(text)
        finally:
            self.closed = True


async def timed(source: AsyncIterator[ReplyItem]) -> list[tuple[float, object]]:
    """What comes, and when, in ms since the start."""
    began = asyncio.get_running_loop().time()
    out: list[tuple[float, object]] = []
    async with aclosing(coalesced(source, EVERY_S, LATER_S)) as deltas:
        async for delta in deltas:
            at = asyncio.get_running_loop().time() - began
            item = delta.text if isinstance(delta, TextDelta) else delta
            out.append((round(at * 1000, 3), item))
    return out


@in_virtual_time
async def test_the_first_delta_waits_for_nothing() -> None:
    """A voice can begin."""
    assert (await timed(Source(0.2, "Hi", 0.001, " you")()))[0] == (200, "Hi")


@in_virtual_time
async def test_later_deltas_come_at_most_every_25_ms() -> None:
    """Forty tokens in 400 ms become seventeen items, each as it is due."""
    out = await timed(Source(*[step for n in range(40) for step in (f"{n} ", 0.01)])())
    times = [at for at, _ in out[:-1]]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 25
    assert len(out) == 17
    assert "".join(text for _, text in out) == "".join(f"{n} " for n in range(40))


@in_virtual_time
async def test_the_end_is_not_kept_waiting() -> None:
    """What is left when the model stops comes at once."""
    assert await timed(Source("Hi", 0.005, " you")()) == [(0, "Hi"), (5, " you")]


@in_virtual_time
async def test_a_slow_model_is_not_slowed() -> None:
    """Tokens further apart than 25 ms pass as they come."""
    assert await timed(Source("a", 0.1, "b", 0.1, "c")()) == [(0, "a"), (100, "b"), (200, "c")]


@in_virtual_time
async def test_an_empty_delta_is_not_the_first() -> None:
    """Servers open with an empty delta; the first text behind it is still not kept waiting."""
    assert await timed(Source("", 0.005, "Hi", 1)()) == [(5, "Hi")]


@in_virtual_time
async def test_a_failure_comes_after_the_text_before_it() -> None:
    """Nothing that was written is lost."""
    out: list[str] = []

    async def read() -> None:
        async for delta in coalesced(
            Source("a", "b", 0.001, "c", ValueError("x"))(), EVERY_S, LATER_S
        ):
            out.append(delta.text)

    with pytest.raises(ValueError, match="x"):
        await read()
    assert "".join(out) == "abc"


@pytest.mark.parametrize("rest", [[HANG], [0.5, "b", HANG], [ValueError("unseen")]])
@in_virtual_time
async def test_leaving_early_closes_the_source_first(rest: list[object]) -> None:
    """The model has stopped when the reader is gone."""
    source = Source("a", *rest)
    async with aclosing(coalesced(source(), EVERY_S, LATER_S)) as deltas:
        async for _ in deltas:
            break
    assert source.closed


@in_virtual_time
async def test_cancelling_the_reader_closes_the_source() -> None:
    """What Serve does when a handle's stream is cancelled."""
    source = Source("a", HANG)
    reading = asyncio.create_task(timed(source()))
    await asyncio.sleep(1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert source.closed


@in_virtual_time
async def test_a_slow_reader_gets_all_of_it() -> None:
    """What came while it was busy arrives as one."""
    out: list[str] = []
    async for delta in coalesced(Source("a", 0.1, "b", 0.1, "c")(), EVERY_S, LATER_S):
        out.append(delta.text)
        await asyncio.sleep(1)
    assert out == ["a", "bc"]


@given(st.lists(st.one_of(st.text(max_size=3), st.floats(0.001, 0.06))))
def test_no_text_is_lost_or_moved(script: list[str | float]) -> None:
    """Whatever the timing, the text is the same, and no item is empty."""
    out = [text for _, text in run(timed(Source(*script)()))]
    assert "".join(out) == "".join(step for step in script if isinstance(step, str))
    assert "" not in out


@in_virtual_time
async def test_the_end_of_a_clause_is_not_kept() -> None:
    """The voice waits for it: it comes when the model writes it, with what was gathered."""
    source = Source("It", 0.015, " is", 0.002, " warm.", 0.002, " And", 0.002, " dry")
    assert await timed(source()) == [(0.0, "It"), (17.0, " is warm."), (21.0, " And dry")]


@in_virtual_time
async def test_after_a_clause_text_is_gathered_for_longer() -> None:
    """The voice has something to say: ten items a second, and the ends of clauses at once."""
    script = ["Well, so it is,", *[step for n in range(40) for step in (0.01, f" {n}")]]
    out = await timed(Source(*script, 0.03, " end.", 0.005, " And", 1.0)())
    assert [at for at, _ in out] == [0, 100, 200, 300, 400, 430, 530]
    assert out[-2][1].endswith(" end.")


@in_virtual_time
async def test_a_word_and_a_comma_are_not_enough_to_wait() -> None:
    """The voice does not begin with them, so what comes next is as urgent."""
    out = await timed(Source("So,", 0.03, " it", 0.01, " is", 0.01, " so")())
    assert [at for at, _ in out] == [0, 30, 50]


@in_virtual_time
async def test_tool_calls_pass_as_they_come_after_the_text_before_them() -> None:
    """A call ends the gathering: it is sent, and the text that was gathered before it."""
    first, second = ToolCall("1", "look", "{}"), ToolCall("2", "look", "{}")
    out = await timed(Source("Let", 0.001, " me", 0.001, " see", first, second)())
    assert out == [(0, "Let"), (2, " me see"), (2, first), (2, second)]
