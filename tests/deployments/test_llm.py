"""The language model's shell, without Ray: the undecorated class over a scripted backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import pytest

from deployments.contracts import BackendError, Message, ReplyRequest, StageInfo, TextDelta
from deployments.llm import LanguageModelDeployment
from tests.fakes import HANG, Script, play
from tests.virtual_time import in_virtual_time

REQUEST = ReplyRequest((Message("user", "hi"),))
Replica = cast(Any, LanguageModelDeployment).func_or_class


class QuietReplica(Replica):
    """Serve awaits a replica's `__del__`; the garbage collector cannot."""

    def __del__(self) -> None:
        """Nothing."""


class Model:
    """A LanguageModel by a script."""

    def __init__(self, *script: object) -> None:
        self.script: Script = script
        self.requests: list[ReplyRequest] = []
        self.ended = False
        self.closed = False

    async def load(self) -> StageInfo:
        """See LanguageModel."""
        return StageInfo("scripted")

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[TextDelta, None]:
        """See LanguageModel."""
        self.requests.append(request)
        try:
            async for text in play(self.script):
                yield TextDelta(text)
        finally:
            self.ended = True

    async def close(self) -> None:
        """See LanguageModel."""
        self.closed = True


def unborn() -> Any:
    """A replica before its constructor, which is a coroutine."""
    return QuietReplica.__new__(QuietReplica)


async def serving(model: Model) -> Any:
    """A replica over a backend."""
    replica = unborn()
    await replica.serve_backend(model)
    return replica


@in_virtual_time
async def test_a_reply_is_the_models_text_in_fewer_pieces() -> None:
    """The request goes in, all text comes out, tokens gathered."""
    model = Model("Good", 0.001, " mor", 0.001, "ning", 0.1, ".")
    replica = await serving(model)
    texts = [delta.text async for delta in replica.reply(REQUEST)]
    assert texts == ["Good", " morning", "."]
    assert model.requests == [REQUEST]
    assert model.ended


@in_virtual_time
async def test_a_cancelled_reply_stops_the_model_at_once() -> None:
    """No step is started after a barge-in."""
    model = Model("Good", HANG)
    replica = await serving(model)

    async def read() -> None:
        async with aclosing(replica.reply(REQUEST)) as deltas:
            async for _ in deltas:
                pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(1)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert model.ended


@in_virtual_time
async def test_a_replica_says_what_it_serves_and_frees_it() -> None:
    """`describe` answers once loaded; Serve's `__del__` closes the backend."""
    model = Model()
    replica = await serving(model)
    assert await replica.describe() == StageInfo("scripted")
    await Replica.__del__(replica)
    assert model.closed


@in_virtual_time
async def test_the_backend_comes_from_the_registry() -> None:
    """Name and settings are those of the configuration."""
    replica = unborn()
    await replica.__init__("echo", {})
    assert (await replica.describe()).backend == "echo"
    text = "".join([delta.text async for delta in replica.reply(REQUEST)])
    assert "hi" in text


class MortalModel(Model):
    """A model whose engine can die."""

    async def check_health(self) -> None:
        """See Watched."""
        raise BackendError("the engine is dead")


async def test_a_dead_engine_fails_the_health_check() -> None:
    """Serve then replaces the replica; a backend that lives in the replica is always well."""
    await (await serving(Model())).check_health()
    with pytest.raises(BackendError, match="dead"):
        await (await serving(MortalModel())).check_health()
