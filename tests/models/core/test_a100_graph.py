"""The A100 graph over real libraries: its placement, calls, interruptions, lost replicas."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import psutil
import pytest

from clients import events as told
from tests.e2e.caller import Caller, calling
from tests.e2e.cancelling import cancel_turns
from tests.e2e.graph import Graph
from tests.e2e.holdings import settled
from tests.models.core.a100 import (
    LONG_S,
    QUERY,
    VOICE_PYTHON,
    a100_graph,
    answered,
    hold_a_conversation,
    transcribed,
)

pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]

SETTLE_S, WATCHED_S = 1.0, 1.5
STAGES = ("SpeechToText", "LanguageModel", "TextToSpeech")
WARM_UP, AT_ONCE = 40, 4


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The graph, behind the front door that serves."""
    with a100_graph("fast", tmp_path_factory) as started:
        yield started


def test_the_plan_is_placed_as_it_says(graph: Graph) -> None:
    """One recogniser and one model here; two voices, each a process of the other environment."""
    counts = {name: len(graph.replicas(name)) for name in STAGES}
    assert counts == {"SpeechToText": 1, "LanguageModel": 1, "TextToSpeech": 2}
    libraries = VOICE_PYTHON.parents[1].resolve() / "lib"
    for name in STAGES:
        for process in graph.replicas(name):
            ours = any(str(libraries) in m.path for m in process.memory_maps())
            assert ours == (name == "TextToSpeech")


async def test_a_conversation_is_held(graph: Graph) -> None:
    """Speech is transcribed, and answers are written and spoken, by the real libraries."""
    await hold_a_conversation(graph)


async def test_an_interrupt_leaves_the_model_and_the_voice_idle(graph: Graph) -> None:
    """What nobody will hear is not made: both processes rest, and the next reply comes."""
    async with calling(graph.url, **QUERY) as caller:
        await caller.client.send_text("Tell me everything.")
        await caller.until_a(told.Audio, LONG_S)
        await caller.client.interrupt()
        assert (await caller.until_a(told.ReplyDone, LONG_S)).status == "interrupted"
        await asyncio.sleep(SETTLE_S)  # a step that had begun ends
        busy = [p for name in STAGES[1:] for p in graph.replicas(name)]
        before = [sum(p.cpu_times()[:2]) for p in busy]
        await asyncio.sleep(WATCHED_S)
        used = [sum(p.cpu_times()[:2]) - was for p, was in zip(busy, before, strict=True)]
        assert max(used) < WATCHED_S / 3
        assert (await answered(caller, "Go on.")).status == "completed"


@pytest.mark.parametrize("turns", [40, pytest.param(500, marks=pytest.mark.soak)])
@pytest.mark.timeout(3_600)
async def test_cancelled_turns_leave_nothing(graph: Graph, turns: int) -> None:
    """No request in the engine, no slot of a voice, no task or file; nor does memory grow."""
    await cancel_turns(graph.url, WARM_UP, AT_ONCE)
    before = await settled(graph)
    assert await cancel_turns(graph.url, turns, AT_ONCE) >= turns
    after = await settled(graph, before)
    print(before, after, sep="\n")  # -s shows the figures of docs/reliability.md
    assert after.grown_since(before) == []


@pytest.mark.parametrize("stage", STAGES)
async def test_a_killed_replica_comes_back(graph: Graph, stage: str) -> None:
    """The call lives on and is served by the new one."""
    async with calling(graph.url, **QUERY) as caller:
        killed = graph.replicas(stage)
        for process in killed:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(killed, timeout=10)
        async with asyncio.timeout(LONG_S):
            while not await serves(caller, stage):
                pass
        assert not {p.pid for p in graph.replicas(stage)} & {p.pid for p in killed}


async def serves(caller: Caller, stage: str) -> bool:
    """Whether a turn gets what the stage makes."""
    if stage == "SpeechToText":
        return isinstance(await transcribed(caller), told.Final)
    caller.events.clear()
    done = await answered(caller, "Are you back?")
    spoken = any(e.reply_id == done.reply_id for e in caller.of(told.Audio))
    return done.status == "completed" and spoken
