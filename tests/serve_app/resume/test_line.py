"""When a call's conversation is written, and what happens where the store is slow or gone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from unittest.mock import MagicMock

import pytest

from deployments.contracts import Message
from serve_app.conversation.history import Entry
from serve_app.conversation.snapshot import Snapshot
from serve_app.resume.line import REFRESH_S, TIMEOUT_S, Line, key_of
from serve_app.resume.lines import MAX_TOKEN_CHARS, Lines
from serve_app.resume.snapshot_json import MAX_BYTES, decode
from serve_app.resume.store import FORGOTTEN, ConversationTable, StoreLost
from tests.virtual_time import in_virtual_time

KEEP_S = 120.0


@dataclass
class FakeStore:
    """A table with every write on record. `fails`: it raises; `takes_s`: it is slow."""

    fails: bool = False
    takes_s: float = 0.0
    puts: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])
    running: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.table = ConversationTable(KEEP_S)

    async def put(self, key: str, holder: str, owner: str, data: bytes) -> bool:
        """See ConversationStore."""
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self._work()
        finally:
            self.running -= 1
        now = asyncio.get_running_loop().time()
        self.puts.append((now, data))
        return self.table.put(key, holder, owner, data, now)

    async def take(self, key: str, holder: str, owner: str) -> bytes | None:
        """See ConversationStore."""
        await self._work()
        return self.table.take(key, holder, owner, asyncio.get_running_loop().time())

    async def close(self) -> None:
        """See ConversationStore."""

    async def _work(self) -> None:
        await asyncio.sleep(self.takes_s)
        if self.fails:
            raise StoreLost("gone")

    @property
    def kept(self) -> list[int]:
        """The number of turns of each snapshot that was written."""
        return [decode(data).turns for _, data in self.puts if data != FORGOTTEN]


class Conversation:
    """What a line looks at."""

    def __init__(self) -> None:
        self.turns = 0

    def seen(self) -> Snapshot:
        """As it is now."""
        return Snapshot(turns=self.turns)


def followed(store: FakeStore, conversation: Conversation, token: str | None = None) -> Line:
    """A line in use."""
    line = Line(store, "anna", KEEP_S, set(), token)
    line.follow(conversation.seen)
    return line


@in_virtual_time
async def test_what_happened_is_written_at_once_and_what_grows_every_second() -> None:
    """And a conversation in which nothing happens is written every few seconds."""
    store, conversation = FakeStore(), Conversation()
    line = followed(store, conversation)
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(0.1)
    conversation.turns = 1
    line.keep()
    await asyncio.sleep(0.2)
    assert store.kept == [0, 1]
    conversation.turns = 2
    await asyncio.sleep(0.8)
    assert store.kept == [0, 1, 2]
    await asyncio.sleep(2 * REFRESH_S)
    assert store.kept == [0, 1, 2, 2, 2]
    assert [round(at - began, 3) for at, _ in store.puts] == [0, 0.1, 1, 6, 11]
    line.leave(None)
    await line.written()


@in_virtual_time
async def test_writes_are_never_waited_for_and_never_pile_up() -> None:
    """Of what comes while one is written the newest is, and no two at once."""
    store, conversation = FakeStore(takes_s=0.5), Conversation()
    line = followed(store, conversation)
    for conversation.turns in range(1, 20):
        line.keep()
        await asyncio.sleep(0.01)
    line.leave(Snapshot(turns=99))
    await line.written()
    assert store.kept == [1, 99]
    assert store.most == 1


@in_virtual_time
async def test_leaving_has_the_last_word() -> None:
    """The first that is said of it counts, and nothing is written later."""
    store, conversation = FakeStore(), Conversation()
    line = followed(store, conversation)
    line.leave(Snapshot(turns=7))
    line.leave(None)
    line.keep()
    await asyncio.sleep(60)
    assert store.kept == [7]


@in_virtual_time
async def test_a_call_that_is_over_cannot_be_resumed() -> None:
    """It is forgotten, not left to expire."""
    store = FakeStore()
    lines = Lines(store, KEEP_S)
    line = await lines.line(None, "anna")
    line.follow(Conversation().seen)
    line.leave(None)
    await line.written()
    assert store.puts[-1][1] == FORGOTTEN
    assert (await lines.line(line.token, "anna")).resumed is None


@in_virtual_time
async def test_another_replica_goes_on_and_the_first_learns_of_it() -> None:
    """At its next write, which is refused; it writes no more."""
    store, conversation = FakeStore(), Conversation()
    first = followed(store, conversation)
    conversation.turns = 3
    first.keep()
    await first.written()
    second = await Lines(store, KEEP_S).line(first.token, "anna")
    assert second.resumed == Snapshot(turns=3)
    assert second.token == first.token
    await asyncio.wait_for(first.superseded.wait(), REFRESH_S + 1)
    conversation.turns = 4
    first.keep()
    first.leave(Snapshot(turns=4))
    await asyncio.sleep(2)
    third = await Lines(store, KEEP_S).line(first.token, "anna")
    assert third.resumed == Snapshot(turns=3)


@in_virtual_time
async def test_the_same_replica_hands_over_what_it_knows_now() -> None:
    """Nothing is lost that was not written yet, and the first connection is told at once."""
    store, conversation = FakeStore(), Conversation()
    lines = Lines(store, KEEP_S)
    first = await lines.line(None, "anna")
    first.follow(conversation.seen)
    await first.written()
    conversation.turns = 5
    second = await lines.line(first.token, "anna")
    assert second.resumed == Snapshot(turns=5)
    assert first.superseded.is_set()


@pytest.mark.parametrize("token", ["", "unknown", "x" * (MAX_TOKEN_CHARS + 1), "\udc80", None])
@in_virtual_time
async def test_tokens_that_are_none(token: str | None) -> None:
    """A new conversation begins under a new token."""
    line = await Lines(FakeStore(), KEEP_S).line(token, "anna")
    assert line.resumed is None
    assert line.token != token
    assert len(line.token) == 32


@in_virtual_time
async def test_a_token_is_of_use_to_its_owner_alone() -> None:
    """Another's key gets a new conversation, and disturbs nothing."""
    store, conversation = FakeStore(), Conversation()
    lines = Lines(store, KEEP_S)
    first = await lines.line(None, "anna")
    first.follow(conversation.seen)
    await first.written()
    assert (await lines.line(first.token, "bert")).resumed is None
    assert not first.superseded.is_set()
    conversation.turns = 1
    first.keep()
    await first.written()
    assert (await lines.line(first.token, "anna")).resumed == Snapshot(turns=1)


@pytest.mark.parametrize("trouble", [{"fails": True}, {"takes_s": 60.0}])
@in_virtual_time
async def test_a_store_in_trouble_costs_no_call(
    trouble: dict[str, float], no_metrics: MagicMock
) -> None:
    """Failures are counted, a resume is refused in time, and what comes later is kept."""
    store = FakeStore(**trouble)  # type: ignore[arg-type]
    conversation = Conversation()
    line = followed(store, conversation)
    line.keep()
    await line.written()
    began = asyncio.get_running_loop().time()
    assert (await Lines(store, KEEP_S).line(line.token, "anna")).resumed is None
    assert asyncio.get_running_loop().time() - began <= TIMEOUT_S
    no_metrics.kept.inc.assert_called_with(tags={"outcome": "failed"})
    no_metrics.came_back.inc.assert_called_with(tags={"outcome": "failed"})
    store.fails, store.takes_s = False, 0.0
    conversation.turns = 2
    line.keep()
    await asyncio.sleep(3)
    assert store.kept[-1] == 2
    no_metrics.kept.inc.assert_called_with(tags={"outcome": "written"})
    line.leave(None)
    await line.written()


@in_virtual_time
async def test_what_is_too_big_is_not_kept(no_metrics: MagicMock) -> None:
    """What was kept before stays, and it is counted."""
    store = FakeStore()
    line = followed(store, Conversation())
    await line.written()
    line.leave(Snapshot((Entry("", Message("user", "a" * MAX_BYTES)),)))
    await line.written()
    assert store.kept == [0]
    no_metrics.kept.inc.assert_called_with(tags={"outcome": "too_big"})


@in_virtual_time
async def test_what_is_kept_but_cannot_be_read() -> None:
    """As if it were not there."""
    store = FakeStore()
    await store.put(key_of("t"), "x", "anna", b'{"version": 0}')
    assert (await Lines(store, KEEP_S).line("t", "anna")).resumed is None


@in_virtual_time
async def test_closing_waits_for_what_is_being_written() -> None:
    """The last words of calls that have just ended."""
    store = FakeStore(takes_s=0.5)
    lines = Lines(store, KEEP_S)
    line = await lines.line(None, "anna")
    line.follow(Conversation().seen)
    line.leave(Snapshot(turns=4))
    await lines.close()
    assert store.kept[-1] == 4
