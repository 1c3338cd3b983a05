"""Replicas that are replaced or taken away while calls are held, on real graphs with two ingresses.

What tells a replica that it is to stop is private to Ray (serve_app/stop_notice.py): where Ray
changes it, nobody moves here.
"""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from clients import events as told
from clients.returning import Backoff
from tests.e2e.caller import Caller, calling
from tests.e2e.graph import ROOT, Graph, running

pytestmark = pytest.mark.timeout(480)

CALLS = 6
GRACE_S = 30
DRAIN_S = 20
MOVED_S = 60.0
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
CUT_AFTER_S = 120.0
"""Where HAProxy's default would end calls that came before a replica was lost."""


def config(directory: Path, host: str, *, apology: str = "Sorry.", ingresses: int = 2) -> Path:
    """The graph of resume_graph.py, as a file."""
    address, _, port = host.partition(":")
    settings: dict[str, Any] = {
        "stt": {"backend": "fixed"},
        "llm": {"backend": "rememberer"},
        "tts": {"backend": "steps"},
        "apology": apology,
        "limits": {"max_lag_ms": 60_000, "max_voice_wait_ms": 60_000, "drain_s": DRAIN_S},
    }
    ingress = {
        "name": "Ingress",
        "num_replicas": ingresses,
        "graceful_shutdown_timeout_s": GRACE_S,
    }
    application = {
        "name": "parley",
        "route_prefix": "/",
        "import_path": "tests.e2e.resume_graph:build",
        "args": settings,
        "deployments": [ingress],
    }
    whole = {
        "proxy_location": "HeadOnly",
        "http_options": {"host": address, "port": int(port)},
        "applications": [application],
    }
    path = directory / "draining.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


@pytest.fixture(params=["fast", "default"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Graph]:
    """Behind each front door; HAProxy's replicas end as soon as those of Serve's own proxy."""
    drains = {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(GRACE_S)}
    start = config(tmp_path, "127.0.0.1:8000")
    with running(start, request.param, tmp_path, environment=drains) as graph:
        yield graph


async def deploy(graph: Graph, path: Path) -> None:
    """As an operator does: `serve run` of a changed file, in the running cluster."""
    command = ["-m", "ray.serve.scripts", "run", "--non-blocking"]
    # Not `auto`: that may be another cluster's on this machine.
    command += ["--address", graph.ray_address, str(path)]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, *command],
        cwd=ROOT,
        env=psutil.Process(graph.session).environ(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]


async def heard(caller: Caller, text: str) -> None:
    """Until a reply was heard that says this, and no other was before it."""
    assert (await caller.until_a(told.ReplyDone, 30)).heard == text


async def closing(socket: ClientConnection) -> tuple[float, int | None]:
    """When and with which code the server ended a call; None: it was cut."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in socket:
            pass
    return asyncio.get_running_loop().time(), socket.close_code


async def whole_reply(caller: Caller, text: str) -> None:
    """What was heard of one reply, at however many replicas it was spoken, is this."""
    said = (await caller.until_a(told.ReplyDone, 30)).heard
    while said != text:
        assert text.startswith(said), f"{said!r} is no part of {text!r}"
        said = f"{said} {(await caller.until_a(told.ReplyDone, 60)).heard}".strip()


async def replaced(graph: Graph, before: set[int]) -> None:
    """New ingress replicas are on their way."""
    async with asyncio.timeout(MOVED_S):
        while {p.pid for p in graph.replicas("Ingress")} <= before:  # noqa: ASYNC110
            await asyncio.sleep(0.25)


async def test_an_upgrade_and_a_scale_down_lose_no_conversation(
    graph: Graph, tmp_path: Path
) -> None:
    """Every call goes on at another replica with its history, one in a reply after it; what cannot
    come back goes on meanwhile, and is closed with 1012 when the grace period is nearly over."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        callers = [
            await stack.enter_async_context(calling(graph.url, codec="pcm16", reconnect=Backoff()))
            for _ in range(CALLS)
        ]
        realtime = await stack.enter_async_context(connect(f"ws://{graph.host}/v1/realtime"))
        assert json.loads(await realtime.recv())["type"] == "session.created"
        closed = tasks.create_task(closing(realtime))
        for number, caller in enumerate(callers):
            await caller.client.send_text(f"word{number}")
            await heard(caller, f"You said word{number}.")
        old = {process.pid for process in graph.replicas("Ingress")}
        began_at = loop.time()
        deploying = tasks.create_task(
            deploy(graph, config(tmp_path, graph.host, apology="Sorry for that."))
        )
        await replaced(graph, old)
        await callers[0].client.send_text(LONG)  # It is spoken while its replica is to stop.
        await deploying
        await whole_reply(callers[0], f"You said word0 and then {LONG}.")
        for caller in callers:
            assert await caller.until_a(told.Moving, MOVED_S)
            assert (await caller.until_a(told.Reconnecting, MOVED_S)).close_code == 1012
            assert (await caller.until_a(told.Resumed, MOVED_S)).turns >= 1
        assert not closed.done()
        for number, caller in enumerate(callers[1:], start=1):
            await caller.client.send_text(f"more{number}")
            await heard(caller, f"You said word{number} and then more{number}.")

        await deploy(graph, config(tmp_path, graph.host, apology="Sorry for that.", ingresses=1))
        async with asyncio.timeout(MOVED_S):
            while not any(caller.of(told.Resumed) for caller in callers):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        for number, caller in enumerate(callers[1:], start=1):
            await caller.client.send_text("last")
            await heard(caller, f"You said word{number} and then more{number} and then last.")
        closed_at, code = await closed
        assert code == 1012
        assert closed_at - began_at > DRAIN_S


@pytest.mark.soak
async def test_the_calls_of_the_other_ingress_go_on(graph: Graph) -> None:
    """One of two is killed: no call of the other is cut in the time after which the front door's
    defaults would cut it, and all are known at the end."""
    async with AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(calling(graph.url, codec="pcm16", reconnect=Backoff()))
            for _ in range(CALLS)
        ]
        for number, caller in enumerate(callers):
            await caller.client.send_text(f"word{number}")
            await heard(caller, f"You said word{number}.")
        victim = graph.replicas("Ingress")[0]
        victim.send_signal(signal.SIGKILL)
        await asyncio.sleep(CUT_AFTER_S + 15)
        away = [caller for caller in callers if caller.of(told.Reconnecting)]
        for number, caller in enumerate(callers):
            await caller.client.send_text("last")
            await heard(caller, f"You said word{number} and then last.")
            assert len(caller.of(told.Reconnecting)) == len(caller.of(told.Resumed)) <= 1
        print(f"{len(callers) - len(away)} calls went on past {CUT_AFTER_S:.0f} s")
        assert 0 < len(away) < CALLS
