"""What is left in memory of a call that is over."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from serve_app.call import Call
from serve_app.reply import Reply
from tests.fakes import FakeStages
from tests.open_call import open_call
from tests.virtual_time import in_virtual_time

REPLIES = 5


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[Reply]]]:
    """Every reply that is made, while nothing is collected that nobody counts down."""
    made: list[weakref.ref[Reply]] = []
    make = Reply.__init__

    def noted(self: Reply, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        made.append(weakref.ref(self))

    monkeypatch.setattr(Reply, "__init__", noted)
    gc.collect()
    gc.disable()
    yield made
    gc.enable()


def test_interrupted_replies_are_freed_at_once(replies: list[weakref.ref[Reply]]) -> None:
    """With their audio, and with the call, whose end cancels the last."""

    @in_virtual_time
    async def interrupted() -> None:
        async with open_call(FakeStages(replies=[["Good morning to you."]] * REPLIES)) as call:
            for _ in range(REPLIES - 1):
                call.client.say("text", text="Hi")
                await call.client.until("audio")
                call.client.say("interrupt")
                await call.client.until("reply_done")
            call.client.say("text", text="Hi")
            await call.client.until("audio")

    interrupted()
    assert len(replies) == REPLIES
    assert [reply() for reply in replies] == [None] * REPLIES


def test_a_call_whose_client_breaks_off_is_freed_at_once(
    replies: list[weakref.ref[Reply]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a reply, which could not be sent to it."""
    calls: list[weakref.ref[Call]] = []
    run = Call.run

    async def noted(self: Call) -> None:
        calls.append(weakref.ref(self))
        await run(self)

    monkeypatch.setattr(Call, "run", noted)

    @in_virtual_time
    async def broken_off() -> None:
        async with open_call(FakeStages(replies=[["Good morning to you."]])) as call:
            call.client.say("text", text="Hi")
            await call.client.until("audio")
            call.client.break_off()

    broken_off()
    assert [made() for made in (*calls, *replies)] == [None, None]
