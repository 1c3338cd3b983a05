"""What carries calls is killed under them: ingresses, Serve's controller, the front door, Redis.

tests/e2e/test_resume.py has one ingress killed between turns, and both in the middle of a reply.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from launcher.session import session_members
from tests import redis_server
from tests.e2e.graph import Graph
from tests.e2e.talkers import LOST, Talkers, talking
from tests.e2e.test_resume import connected, kept

pytestmark = pytest.mark.timeout(600)

CALLS = 6
BACK_S = 90.0


@pytest.fixture(scope="module", params=["fast", pytest.param("default", marks=pytest.mark.soak)])
def front_door(request: pytest.FixtureRequest) -> str:
    """HAProxy, and Serve's own proxy."""
    return request.param


@pytest.fixture(scope="module")
def graph(front_door: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """Two ingresses, and conversations in the actor beside them."""
    directory = tmp_path_factory.mktemp("service")
    with kept("{store: memory}", front_door, directory) as graph:
        yield graph


def members(graph: Graph, title: str) -> list[psutil.Process]:
    """The graph's processes with this in their command line."""
    return [p for p in session_members(graph.session) if title in " ".join(p.cmdline())]


async def another(graph: Graph, title: str, before: list[psutil.Process]) -> None:
    """Until as many processes of this title run as did before, and the killed ones are gone."""
    gone = {process.pid for process in before if not process.is_running()}
    async with asyncio.timeout(BACK_S):
        while len({p.pid for p in members(graph, title)} - gone) < len(before):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def kill(graph: Graph, title: str, *, one: bool = False) -> list[psutil.Process]:
    """SIGKILL to those of this title, or one of them. Returns those that ran before."""
    before = members(graph, title)
    assert before, title
    for process in before[: 1 if one else None]:
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(psutil.wait_procs, [process], BACK_S)
    return before


async def new_call(graph: Graph) -> float:
    """Somebody calls and is answered; returns how long it took until the call was open, in s."""
    clock = asyncio.get_running_loop().time
    asked_at = clock()
    async with connected(graph) as call:
        await call.until("ready")
        open_at = clock()
        await call.say("apples")
        assert (await call.until("reply_done"))["heard"] == "You said apples."
    return open_at - asked_at


@asynccontextmanager
async def answered(graph: Graph) -> AsyncGenerator[Talkers]:
    """Calls that go on, of which each was answered once."""
    async with talking(graph.url, CALLS, types=True) as talkers:
        await talkers.until_answered(asyncio.get_running_loop().time(), BACK_S)
        yield talkers


async def said_apples(graph: Graph) -> str:
    """Somebody calls, is answered and loses the connection. Returns the way back."""
    async with connected(graph) as call:
        token = str((await call.until("ready"))["resume"])
        await call.say("apples")
        await call.until("reply_done")
        call.socket.transport.abort()
        return token


async def begin_anew(graph: Graph, token: str) -> None:
    """The way back leads nowhere: the caller is told so, and answered in a new conversation."""
    async with connected(graph, token) as call:
        assert (await call.until("ready"))["resume"] != token
        assert (await call.until("error"))["code"] == "resume_unavailable"
        await call.say("pears")
        assert (await call.until("reply_done"))["heard"] == "You said pears."


def assert_nothing_lost(talkers: Talkers) -> None:
    """Every call that lost its connection is back at its conversation; what was said on one that
    was dead is all that its caller has to say again, and no answer forgot anything."""
    assert talkers.not_answered(but=[LOST]) == []
    assert [t.returns for t in talkers.all] == [t.losses for t in talkers.all]


async def test_the_controller_is_killed(graph: Graph) -> None:
    """Nobody notices, who calls then included; and the next one replaces a lost ingress."""
    clock = asyncio.get_running_loop().time
    async with answered(graph) as talkers:
        killed_at = clock()
        controllers = await kill(graph, "ServeController")
        print(f"\na new call is open after {await new_call(graph):.1f} s", end="")
        await talkers.until_answered(killed_at, BACK_S)
        talkers.report("controller", killed_at)
        assert talkers.not_answered() == []
        assert [talker.losses for talker in talkers.all] == [0] * CALLS
        await another(graph, "ServeController", controllers)
        killed_at = clock()
        ingresses = await kill(graph, "ServeReplica:parley:Ingress", one=True)
        await another(graph, "ServeReplica:parley:Ingress", ingresses)
        await talkers.until_answered(killed_at, BACK_S)
        talkers.report("an ingress after it", killed_at)
        assert_nothing_lost(talkers)


async def test_the_front_door_is_killed(graph: Graph, front_door: str) -> None:
    """Every call comes back once another stands there, and goes on as before."""
    clock = asyncio.get_running_loop().time
    async with answered(graph) as talkers:
        killed_at = clock()
        await kill(graph, "bin/haproxy" if front_door == "fast" else "ProxyActor")
        print(f"\na new call is open after {await new_call(graph):.1f} s", end="")
        await talkers.until_answered(killed_at, BACK_S)
        talkers.report(front_door, killed_at)
        assert_nothing_lost(talkers)
        assert all(talker.losses for talker in talkers.all)


@pytest.mark.soak
async def test_ingresses_are_killed_in_turn(graph: Graph) -> None:
    """In the middle of turns, three times: all is remembered."""
    clock = asyncio.get_running_loop().time
    async with answered(graph) as talkers:
        for _ in range(3):
            killed_at = clock()
            before = await kill(graph, "ServeReplica:parley:Ingress", one=True)
            await another(graph, "ServeReplica:parley:Ingress", before)
            await talkers.until_answered(killed_at, BACK_S)
            talkers.report("ingress", killed_at)
        assert_nothing_lost(talkers)


@pytest.mark.soak
async def test_redis_is_killed(tmp_path: Path) -> None:
    """Calls go on without it, and who loses the connection begins anew; with an empty one in its
    place they are kept again, and an ingress lost then costs nobody the conversation."""
    clock = asyncio.get_running_loop().time
    with redis_server.running(tmp_path) as url:
        resume = f"{{store: redis, redis_url: '{url}'}}"
        with kept(resume, "default", tmp_path) as graph:
            async with answered(graph) as talkers:
                token = await said_apples(graph)
                [redis] = [p for p in psutil.Process().children() if p.name() == "redis-server"]
                redis.send_signal(signal.SIGKILL)
                await begin_anew(graph, token)
                await talkers.until_answered(clock(), BACK_S)
                assert talkers.not_answered() == []
                port = int(url.rpartition(":")[2].partition("/")[0])
                with redis_server.running(tmp_path, port):
                    await talkers.until_answered(clock(), BACK_S)
                    killed_at = clock()
                    await kill(graph, "ServeReplica:parley:Ingress", one=True)
                    await talkers.until_answered(killed_at, BACK_S)
                    talkers.report("an ingress after Redis", killed_at)
                    assert_nothing_lost(talkers)
