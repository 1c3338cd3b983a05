"""A client that loses its connection and comes back: the call on either side of it."""

from __future__ import annotations

import asyncio

import pytest

from deployments.contracts import ReplyRequest
from serve_app.call import ON_ITS_WAY_S, Call
from serve_app.resume.lines import Lines
from tests.fake_socket import FakeSocket
from tests.fakes import FakeStages
from tests.open_call import made, start
from tests.serve_app.resume.test_line import KEEP_S, FakeStore
from tests.virtual_time import in_virtual_time

LONG = "One two three four five six seven eight nine ten."


class Callers:
    """Calls at replicas that share a store; `asked` is what the model was shown each time."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.asked: list[list[str]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def call(self, token: str | None = None, lines: Lines | None = None) -> FakeSocket:
        """A call at another replica, unless `lines` are one's."""
        lines = lines or Lines(self.store, KEEP_S)
        client = FakeSocket()
        stages = FakeStages(answer=self._answer)
        line = await lines.line(token, "anna")
        self.tasks.append(start(stages, client, line=line))
        return client

    def _answer(self, request: ReplyRequest) -> list[str]:
        self.asked.append([message.content for message in request.messages])
        return [LONG]

    async def over(self) -> None:
        """All calls have ended."""
        for task in self.tasks:
            await task


async def token_of(client: FakeSocket) -> str:
    """What `ready` names."""
    return (await client.until("ready")).fields["resume"]


@pytest.mark.parametrize("how", ["vanish", "break_off"])
@in_virtual_time
async def test_a_lost_connection_is_come_back_to(how: str) -> None:
    """The history is there, what was heard is kept, the rest is said, and the next turn knows."""
    callers = Callers()
    first = await callers.call()
    token = await token_of(first)
    first.say("text", text="count")
    await first.until("audio")
    await asyncio.sleep(0.95)
    getattr(first, how)()
    await callers.over()
    second = await callers.call(token)
    assert await token_of(second) == token
    resumed = (await second.until("resumed")).fields
    heard = "One two three" if how == "vanish" else resumed["heard"]
    assert resumed == {
        "type": "resumed",
        "turns": 1,
        "messages": 2,
        "last_turn": "count",
        "heard": heard,
    }
    assert heard.startswith("One two")
    rest = LONG.removeprefix(heard).strip()
    assert (await second.until("reply_done")).fields["heard"] == rest
    assert second.of("reply_started")[0].fields["reply_id"] == "reply-2"
    second.say("text", text="and now?")
    await second.until("reply_done", 2)
    assert callers.asked == [["count"], ["count", heard, rest, "and now?"]]
    second.say("end")
    await callers.over()


@in_virtual_time
async def test_a_cancelled_call_is_kept_too() -> None:
    """Behind the fast front door a disconnect cancels the handler."""
    callers = Callers()
    first = await callers.call()
    token = await token_of(first)
    first.say("text", text="count")
    await first.until("reply_done")
    callers.tasks.pop().cancel()
    await asyncio.sleep(1)
    second = await callers.call(token)
    assert (await second.until("resumed")).fields["heard"] == LONG
    await asyncio.sleep(5)
    assert not second.of("reply_started")
    second.vanish()
    await callers.over()


@in_virtual_time
async def test_a_call_that_ended_cannot_be_come_back_to() -> None:
    """`end` forgets it; the token gets a new conversation that says nothing of the old."""
    callers = Callers()
    first = await callers.call()
    token = await token_of(first)
    first.say("text", text="count")
    await first.until("reply_done")
    first.say("end")
    await callers.over()
    assert first.closed_with == 1000
    second = await callers.call(token)
    assert await token_of(second) != token
    second.say("text", text="and now?")
    await second.until("reply_done")
    assert not second.of("resumed")
    assert callers.asked[-1] == ["and now?"]
    second.vanish()
    await callers.over()


@pytest.mark.parametrize("same_replica", [True, False])
@in_virtual_time
async def test_a_half_open_connection_is_superseded(same_replica: bool) -> None:
    """The client comes back while the old connection seems alive: that one ends, and says why."""
    callers = Callers()
    lines = Lines(callers.store, KEEP_S) if same_replica else None
    first = await callers.call(lines=lines)
    token = await token_of(first)
    first.say("text", text="count")
    await first.until("reply_done")
    second = await callers.call(token, lines)
    came_at = asyncio.get_running_loop().time()
    await second.until("resumed")
    await first.until("error")
    await callers.tasks[0]
    assert (first.errors, first.closed_with) == (["superseded"], 4001)
    assert first.closed_at is not None
    assert first.closed_at - came_at <= (0 if same_replica else 6.0)
    second.say("text", text="and now?")
    await second.until("reply_done")
    assert callers.asked[-1] == ["count", LONG, "and now?"]
    second.vanish()
    await callers.over()


@in_virtual_time
async def test_settings_are_gone_on_with() -> None:
    """Instructions, voice and language as they were when the connection was lost."""
    callers = Callers()
    first = await callers.call()
    token = await token_of(first)
    first.say("config", instructions="sing", voice="anna", language="de")
    await asyncio.sleep(1.5)
    first.vanish()
    await callers.over()
    line = await Lines(callers.store, KEEP_S).line(token, "anna")
    assert line.resumed is not None
    settled = line.resumed.config
    assert (settled.instructions, settled.voice, settled.language) == ("sing", "anna", "de")


@in_virtual_time
async def test_a_store_that_is_gone_costs_nothing() -> None:
    """The call begins, answers and ends as if nothing were."""
    callers = Callers()
    callers.store.fails = True
    client = await callers.call("some token")
    client.say("text", text="count")
    assert (await client.until("reply_done")).fields["heard"] == LONG
    client.say("end")
    await callers.over()
    assert client.closed_with == 1000


async def moving_call(callers: Callers, client: FakeSocket) -> tuple[Call, asyncio.Task[None]]:
    """A call that can be come back to, and its task."""
    line = await Lines(callers.store, KEEP_S).line(None, "anna")
    call = made(FakeStages(replies=[[LONG]]), client, line=line)
    return call, asyncio.create_task(call.run())


@in_virtual_time
async def test_a_call_that_is_moved_goes_on_elsewhere() -> None:
    """The client is told to come back, its queued sound is dropped, and nothing is heard twice."""
    callers, client = Callers(), FakeSocket()
    call, running = await moving_call(callers, client)
    token = await token_of(client)
    client.say("text", text="count")
    await client.until("audio")
    assert call.returns
    assert not call.quiet
    await asyncio.sleep(0.95 - ON_ITS_WAY_S)
    call.move()
    await running
    assert client.closed_with == 1012
    assert (await client.until("moving")).fields["resume"] == token
    heard = (await client.until("reply_done")).fields["heard"]
    assert [kind for kind in client.kinds if kind in ("moving", "flush")] == ["moving", "flush"]
    second = await callers.call(token)
    resumed = (await second.until("resumed")).fields
    assert resumed["heard"] == heard == "One two three"
    rest = (await second.until("reply_done")).fields["heard"]
    assert f"{heard} {rest}" == LONG
    second.vanish()
    await callers.over()


@in_virtual_time
async def test_what_was_on_its_way_when_a_call_moved_is_answered_elsewhere() -> None:
    """A turn typed before the client read `moving` is there, and gets its one answer."""
    callers, client = Callers(), FakeSocket()
    call, running = await moving_call(callers, client)
    token = await token_of(client)
    await asyncio.sleep(1)
    assert call.quiet
    call.move()
    await client.until("moving")
    client.say("text", text="count")
    await running
    assert client.closed_with == 1012
    second = await callers.call(token)
    assert (await second.until("resumed")).fields["last_turn"] == "count"
    done = (await second.until("reply_done")).fields["heard"]
    assert done
    assert LONG.endswith(done)
    await asyncio.sleep(5)
    assert len(second.of("reply_done")) == 1
    second.vanish()
    await callers.over()


@in_virtual_time
async def test_a_call_that_cannot_be_come_back_to_is_ended() -> None:
    """With the close code of a restart and no other word."""
    client = FakeSocket()
    call = made(FakeStages(), client)
    running = asyncio.create_task(call.run())
    await client.until("ready")
    assert not call.returns
    call.move()
    await running
    assert (client.closed_with, client.of("moving")) == (1012, [])
