"""What every language model owes its stage, whichever it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest
import pytest_asyncio

from deployments import backends
from deployments.backend_protocols import LanguageModel
from deployments.contracts import Message, ReplyItem, ReplyRequest, StageInfo
from tests.tiny import settings

ASKED = ReplyRequest((Message("system", "Be kind."), Message("user", "i need a long holiday")))


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm(
    llm_name: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[LanguageModel, StageInfo]]:
    """A loaded language model and what it says of itself."""
    backend = backends.create("llm", llm_name, settings("llm", llm_name, tmp_path_factory))
    yield backend, await backend.load()
    await backend.close()


async def read(reply: AsyncIterator[ReplyItem]) -> str:
    """A whole reply, to which no tool was offered."""
    return "".join([cast(Any, item).text async for item in reply])


async def test_language_model_replies(llm: tuple[LanguageModel, StageInfo]) -> None:
    """A reply comes in several pieces, none empty."""
    backend, info = llm
    pieces = [cast(Any, item).text async for item in backend.reply(ASKED)]
    assert info.backend in backends.names("llm")
    assert len(pieces) > 1
    assert all(pieces)
    assert "".join(pieces).strip()


async def test_closed_reply_is_over(llm: tuple[LanguageModel, StageInfo]) -> None:
    """An interrupted reply gives nothing more, and the next is whole."""
    backend, _ = llm
    async with aclosing(cast(Any, backend.reply(ASKED))) as reply:
        await anext(reply)
    with pytest.raises(StopAsyncIteration):
        await anext(reply)
    assert len(await read(backend.reply(ASKED))) > 5


async def test_replies_at_once_do_not_mix(llm: tuple[LanguageModel, StageInfo]) -> None:
    """What one caller said is not in another's reply."""
    backend, _ = llm
    others = ReplyRequest((Message("user", "i need some zebras"),))
    mine, theirs = await asyncio.gather(read(backend.reply(ASKED)), read(backend.reply(others)))
    assert "zebras" not in mine
    assert "holiday" not in theirs
