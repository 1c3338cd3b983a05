"""Keys on a real graph: what of them only Serve itself can show."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import websockets

from clients import events as told
from clients.voice_client import CallRefused, VoiceClient
from serve_app.access.key_ring import new_key
from serve_app.access.settings import KeyLimits
from tests.e2e.graph import PATIENT, ROOT, Graph, running
from tests.launcher.vacant import vacant_port

pytestmark = pytest.mark.timeout(240)

CONFIG = ROOT / "serve_config.embedded.yaml"


@dataclass(frozen=True)
class Guarded:
    """A graph that asks for keys and records calls, and the file of its keys."""

    graph: Graph
    keys: Path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Behind the fast front door, where the replicas are reached past Serve's own proxy."""
    directory = tmp_path_factory.mktemp("keys")
    keys = directory / "keys.jsonl"
    keys.write_text("")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PARLEY_KEYS_FILE", str(keys))
        environment.setenv("PARLEY_RECORDING_KEY", "0a" * 32)
        recording = f"recording: {{directory: {directory / 'recordings'}}}\n"
        overrides = directory / "overrides.yaml"
        overrides.write_text(PATIENT.read_text() + recording)
        environment.setenv("PARLEY_OVERRIDES", str(overrides))
        with running(CONFIG, "fast", directory) as graph:
            yield Guarded(graph, keys)


async def test_keys_come_and_go_while_it_runs(guarded: Guarded) -> None:
    """A key opens calls once its line is there, as many as it may, and none when it is gone."""
    shown, line = new_key("test", "anna", None, KeyLimits(calls=1))
    _until(guarded, shown, 401)
    with pytest.raises(CallRefused) as refused:
        await _ready(guarded.graph, shown)
    assert (refused.value.status, refused.value.code) == (401, "invalid_api_key")
    guarded.keys.write_text(line)
    _until(guarded, shown, 200)
    async with VoiceClient.connect(guarded.graph.url, api_key=shown) as call:
        assert isinstance(await anext(aiter(call)), told.Ready)
        with pytest.raises(CallRefused) as refused:
            await _ready(guarded.graph, shown)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 5)
    guarded.keys.write_text("")
    _until(guarded, shown, 401)


async def test_an_owners_data_while_they_call(guarded: Guarded) -> None:
    """The recording that is being written and the conversation in Serve's actor are given out,
    and erased: of the recording nothing is left when the call is over."""
    shown, line = new_key("test", "bert")
    guarded.keys.write_text(line)
    _until(guarded, shown, 200)
    headers = {"authorization": f"Bearer {shown}"}
    async with (
        websockets.connect(guarded.graph.url, additional_headers=headers) as call,
        httpx.AsyncClient(base_url=f"http://{guarded.graph.host}", headers=headers) as client,
    ):
        await call.send('{"type": "record", "consent": true}')
        await call.send('{"type": "text", "text": "I need a holiday"}')
        async for message in call:
            if isinstance(message, str) and json.loads(message)["type"] == "reply_done":
                break
        export = await client.get("/v1/me/export")
        erased = (await client.delete("/v1/me")).json()
    with zipfile.ZipFile(io.BytesIO(export.content)) as file:
        contents = json.loads(file.read("contents.json"))
        [name] = contents["recordings"]
        told = json.loads(file.read(f"recordings/{name}.json"))
        kept = file.read("conversations/1.json")
    assert [said["who"] for said in told["transcript"]] == ["caller", "agent"]
    assert (told["ended_at"], told["owner"]) == (None, "bert")
    assert b"I need a holiday" in kept
    assert (erased["recordings"], erased["conversations"]) == (1, 1)
    assert _files_in(guarded.keys.parent / "recordings") == []


def _files_in(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_the_network_is_not_served_without_keys() -> None:
    """Serve knows where it listens, and the builder asks it: one line says what to do."""
    options = ["--host", "0.0.0.0", "--port", str(vacant_port()), "--front-door", "default"]
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PARLEY_")}
    launcher = subprocess.run(
        [sys.executable, "launch.py", "--config", str(CONFIG), *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert launcher.returncode == 1
    [line] = launcher.stderr.splitlines()
    assert line.startswith("parley: serving 0.0.0.0 lets anybody call: set auth.keys_file")


async def _ready(graph: Graph, shown: str) -> None:
    async with VoiceClient.connect(graph.url, api_key=shown) as call:
        await anext(aiter(call))


def _until(guarded: Guarded, shown: str, status: int) -> None:
    """Wait for the replica to have looked at its key file."""
    deadline = time.monotonic() + 20
    headers = {"authorization": f"Bearer {shown}"}
    while True:
        found = httpx.get(f"http://{guarded.graph.host}/v1/audio/voices", headers=headers)
        if found.status_code == status:
            return
        assert time.monotonic() < deadline, f"still {found.status_code}"
        time.sleep(0.1)
