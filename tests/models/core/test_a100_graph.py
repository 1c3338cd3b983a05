"""serve_config.yaml itself, on a card that is only counted, with tiny real models.

Nothing of the file is changed: an overrides file swaps the checkpoints in and runs them on the CPU.
The voice lives in an environment of its own, as on a card.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from clients import events as told
from clients.sample_voice import speak
from tests.e2e.caller import Caller, calling
from tests.e2e.graph import ROOT, Graph, running
from tests.tiny import qwen2, voxtream, whisper

pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]

VOICE_PYTHON = ROOT / ".venv-voxtream" / "bin" / "python"
MAKE_VOICE = """
import pathlib, sys
from tests.tiny import voxtream
voxtream.shrink()
voxtream.write(pathlib.Path(sys.argv[1]))
"""

RATE = 16_000
SPOKEN = speak("I want to talk about my mother", RATE)
LONG_S = 180.0
"""Tiny models or not, this is CPython on a machine that others share."""
SETTLE_S, WATCHED_S = 1.0, 1.5

QUERY: dict[str, Any] = {"codec": "pcm16", "rate": RATE}
STAGES = ("SpeechToText", "LanguageModel", "TextToSpeech")


def overrides(directory: Path, factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What to lay over the file's settings; the checkpoints are made on the way."""
    voice = directory / "voxtream"
    subprocess.run([VOICE_PYTHON, "-c", MAKE_VOICE, voice], cwd=ROOT, check=True)
    tiny_only = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return {
        "stt": {
            "settings": {"compute_type": None, **whisper.build(factory)},
            "placement": {"num_cpus": 0.2, "env": tiny_only},
            "first_s": 60,
        },
        "llm": {
            "settings": {**qwen2.build(factory), "dtype": "float32", "max_tokens": 200},
            "placement": {
                "num_cpus": 0.2,
                "env": {**tiny_only, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"},
            },
            "first_s": 60,
        },
        "tts": {
            "settings": {**voxtream.settings(voice), "device": "cpu"},
            "placement": {
                "num_cpus": 0.2,
                "env": {
                    **tiny_only,
                    **voxtream.environment(voice),
                    "PYTHONPATH": os.pathsep.join([str(ROOT / "tests/tiny/site"), str(ROOT)]),
                },
            },
            "first_s": 60,
        },
        "turn": {"speculation": "off", "end_of_turn": "silence", "endpoint_ms": 300},
    }


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The graph, behind the front door that serves."""
    directory = tmp_path_factory.mktemp("a100")
    (directory / "tiny.yaml").write_text(yaml.safe_dump(overrides(directory, tmp_path_factory)))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PARLEY_OVERRIDES", str(directory / "tiny.yaml"))
        environment.setenv("RAY_OVERRIDE_RESOURCES", json.dumps({"CPU": 4, "GPU": 1}))
        with running(ROOT / "serve_config.yaml", "fast", directory) as started:
            yield started


async def answered(caller: Caller, text: str) -> told.ReplyDone:
    """A typed turn, answered until the end."""
    await caller.client.send_text(text)
    return await caller.until_a(told.ReplyDone, LONG_S)


async def transcribed(caller: Caller) -> told.Final | told.ServerError:
    """A spoken turn's transcript, or what went wrong with it."""
    await caller.speak(SPOKEN, RATE)
    async with caller.listening(RATE):
        return await caller.until(lambda e: isinstance(e, told.Final | told.ServerError), LONG_S)


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
    async with calling(graph.url, **QUERY) as caller:
        assert isinstance(await transcribed(caller), told.Final)
    async with calling(graph.url, **QUERY) as caller:
        for question in ("Are you there?", "Who are you?"):
            done = await answered(caller, question)
            assert done.status == "completed"
            text = "".join(e.delta for e in caller.of(told.ReplyText))
            assert "listening to everything you say" in text
            assert [e for e in caller.of(told.Audio) if e.reply_id == done.reply_id]


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
