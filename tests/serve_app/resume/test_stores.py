"""What every store of conversations holds to, and the bounds of the one in memory."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from redis.asyncio import Redis

from serve_app.errors import ConfigError
from serve_app.resume.redis import RedisConversations
from serve_app.resume.store import (
    FORGOTTEN,
    ConversationStore,
    ConversationTable,
    ResumeSettings,
    StoreLost,
)
from tests import redis_server

KEEP_S = 0.3


class TableConversations:
    """The table, as the actor serves it."""

    def __init__(self, keep_s: float) -> None:
        self._table = ConversationTable(keep_s)

    async def put(self, key: str, holder: str, owner: str, data: bytes) -> bool:
        """See ConversationStore."""
        return self._table.put(key, holder, owner, data, asyncio.get_running_loop().time())

    async def take(self, key: str, holder: str, owner: str) -> bytes | None:
        """See ConversationStore."""
        return self._table.take(key, holder, owner, asyncio.get_running_loop().time())

    async def of(self, owner: str) -> list[bytes]:
        """See ConversationStore."""
        return self._table.of(owner, asyncio.get_running_loop().time())

    async def erase(self, owner: str) -> int:
        """See ConversationStore."""
        return self._table.erase(owner, asyncio.get_running_loop().time())

    async def close(self) -> None:
        """See ConversationStore."""


@pytest.fixture(params=["table", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ConversationStore]:
    """Each kind."""
    if request.param == "table":
        yield TableConversations(KEEP_S)
        return
    with redis_server.running(tmp_path) as url:
        redis = RedisConversations(url, KEEP_S)
        yield redis
        await redis.close()


async def test_the_last_holder_writes(store: ConversationStore) -> None:
    """Whoever takes a conversation has it as it was last written; the one before learns of it."""
    assert await store.put("k", "a", "anna", b"1")
    assert await store.put("k", "a", "anna", b"2")
    assert await store.take("k", "b", "anna") == b"2"
    assert not await store.put("k", "a", "anna", b"3")
    assert await store.put("k", "b", "anna", b"4")
    assert await store.take("k", "c", "anna") == b"4"


async def test_an_owners_are_given_out_and_erased(store: ConversationStore) -> None:
    """Theirs alone; what is over is none; an erased one cannot be had, until its call writes."""
    for key, owner in (("k", "anna"), ("l", "anna"), ("m", "bert"), ("over", "anna")):
        await store.put(key, "a", owner, key.encode())
    await store.put("over", "a", "anna", FORGOTTEN)
    assert sorted(await store.of("anna")) == [b"k", b"l"]
    assert await store.erase("anna") == 2
    assert await store.of("anna") == []
    assert await store.erase("anna") == 0
    assert await store.take("k", "b", "anna") is None
    assert await store.of("bert") == [b"m"]
    assert await store.put("l", "a", "anna", b"new")
    assert await store.of("anna") == [b"new"]


async def test_what_cannot_be_had(store: ConversationStore) -> None:
    """Unknown, another owner's, and over: all alike nothing; the last is not brought back."""
    assert await store.take("k", "a", "anna") is None
    await store.put("k", "a", "anna", b"1")
    assert await store.take("k", "b", "bert") is None
    assert await store.take("k", "b", "") is None
    assert await store.put("k", "a", "anna", b"2")
    await store.put("k", "a", "anna", FORGOTTEN)
    assert await store.take("k", "b", "anna") is None
    assert not await store.put("k", "b", "anna", b"3")


async def test_each_write_keeps_it_for_a_while(store: ConversationStore) -> None:
    """Then it is gone by itself."""
    await store.put("k", "a", "", b"1")
    for _ in range(3):
        await asyncio.sleep(KEEP_S / 2)
        assert await store.put("k", "a", "", b"2")
    assert await store.take("k", "b", "") == b"2"
    await asyncio.sleep(KEEP_S * 1.5)
    assert await store.take("k", "c", "") is None


async def test_redis_holds_json_and_no_token(tmp_path: Path) -> None:
    """What is there is the hash of a key, as long as it is to live."""
    with redis_server.running(tmp_path) as url:
        store = RedisConversations(url, 60)
        await store.put("k", "a", "anna", b"{}")
        async with Redis.from_url(url) as client:
            assert await client.keys() == [b"parley:conversation:k"]
            assert 59 <= await client.ttl("parley:conversation:k") <= 60
        await store.close()


async def test_a_redis_that_is_gone_is_told(tmp_path: Path) -> None:
    """As StoreLost, without the password in the URL; and it is found again."""
    with redis_server.running(tmp_path) as url:
        pass
    store = RedisConversations(url.replace("redis://", "redis://user:secret@"), 60)
    with pytest.raises(StoreLost) as lost:
        await store.put("k", "a", "", b"1")
    assert "secret" not in str(lost.value)
    await store.close()
    back = RedisConversations(url, 60)
    with pytest.raises(StoreLost):
        await back.take("k", "a", "")
    with redis_server.running(tmp_path, int(url.split(":")[2].split("/")[0])):
        assert await back.put("k", "a", "", b"1")
        await back.close()


def test_what_is_no_redis_url() -> None:
    """The operator is told which setting."""
    with pytest.raises(ConfigError, match=r"resume\.redis_url"):
        RedisConversations("localhost:6379", 60)


@pytest.mark.parametrize("settings", [{"store": "redis"}, {"redis_url": "redis://h"}, {"keep": 1}])
def test_settings_that_cannot_work(settings: dict[str, object]) -> None:
    """A Redis without a URL, a URL without Redis, an unknown key."""
    with pytest.raises(ValidationError):
        ResumeSettings.model_validate(settings)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from("xy"),
            st.integers(0, 40),
            st.floats(0, 5),
            st.booleans(),
        )
    )
)
def test_the_table_stays_within_its_bound(
    steps: list[tuple[str, str, int, float, bool]],
) -> None:
    """Whatever is kept: never more than the bound, and the last written is there if it fits."""
    table = ConversationTable(10.0, max_bytes=64)
    now = 0.0
    written: dict[str, tuple[str, bytes, float]] = {}
    for key, holder, size, wait, take in steps:
        now += wait
        known = written.get(key)
        if take:
            data = table.take(key, holder, "", now)
            if data is not None:
                assert known is not None
                assert data == known[1]
                assert now < known[2] + 10.0
                written[key] = (holder, data, now)
            continue
        data = bytes(size)
        if table.put(key, holder, "", data, now):
            written[key] = (holder, data, now)
        else:
            assert known is not None
            assert known[0] != holder
        assert table._bytes <= 64
        assert table._bytes == sum(len(row.data) for row in table._rows.values())


def test_every_store_is_one() -> None:
    """They have the same methods; the fixture's stands for the actor."""
    for kind in (TableConversations, RedisConversations):
        for method in ("put", "take", "close"):
            own, wanted = getattr(kind, method), getattr(ConversationStore, method)
            assert list(inspect.signature(own).parameters) == list(
                inspect.signature(wanted).parameters
            )
