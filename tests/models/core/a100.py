"""serve_config.yaml itself, on a card that is only counted, with tiny real models.

Nothing of the file is changed: an overrides file swaps the checkpoints in and runs them on the CPU.
The voice lives in an environment of its own, as on a card.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from clients import events as told
from clients.sample_voice import speak
from tests.e2e import holdings
from tests.e2e.caller import Caller, calling
from tests.e2e.graph import ROOT, Graph, running
from tests.tiny import qwen2, voxtream, whisper

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

QUERY: dict[str, Any] = {"codec": "pcm16", "rate": RATE, "connect_timeout_s": LONG_S}


@contextmanager
def a100_graph(front_door: str, factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The graph, behind this front door."""
    directory = factory.mktemp("a100")
    (directory / "tiny.yaml").write_text(yaml.safe_dump(_overrides(directory, factory)))
    settings = {
        "PARLEY_OVERRIDES": str(directory / "tiny.yaml"),
        "RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": 4, "GPU": 1}),
        **holdings.ENVIRONMENT,
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        with running(ROOT / "serve_config.yaml", front_door, directory) as started:
            yield started


def _overrides(directory: Path, factory: pytest.TempPathFactory) -> dict[str, Any]:
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


async def answered(caller: Caller, text: str) -> told.ReplyDone:
    """A typed turn, answered until the end."""
    await caller.client.send_text(text)
    return await caller.until_a(told.ReplyDone, LONG_S)


async def transcribed(caller: Caller) -> told.Final | told.ServerError:
    """A spoken turn's transcript, or what went wrong with it."""
    await caller.speak(SPOKEN, RATE)
    async with caller.listening(RATE):
        return await caller.until(lambda e: isinstance(e, told.Final | told.ServerError), LONG_S)


async def hold_a_conversation(graph: Graph) -> None:
    """A spoken turn is transcribed, and typed ones are answered in the model's words, aloud."""
    async with calling(graph.url, **QUERY) as caller:
        assert isinstance(await transcribed(caller), told.Final)
    async with calling(graph.url, **QUERY) as caller:
        for question in ("Are you there?", "Who are you?"):
            done = await answered(caller, question)
            assert done.status == "completed"
            text = "".join(e.delta for e in caller.of(told.ReplyText))
            assert "listening to everything you say" in text
            assert [e for e in caller.of(told.Audio) if e.reply_id == done.reply_id]
