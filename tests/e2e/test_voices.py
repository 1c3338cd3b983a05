"""Registered voices on a real graph: two replicas of the voice, over HTTP and in calls."""

import asyncio
import base64
import io
import json
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect

from clients import events as told
from clients.voice_client import CallRefused
from launcher.session import session_members
from tests.e2e.caller import calling
from tests.e2e.graph import ROOT, Graph, running

pytestmark = pytest.mark.timeout(180)

CONFIG = """
proxy_location: HeadOnly
http_options: {host: 127.0.0.1, port: 8000}
applications:
  - name: parley
    route_prefix: /
    import_path: tests.e2e.voice_graph:build
    args:
      stt: {backend: timed}
      llm: {backend: echo}
      tts: {backend: timed}
      voices_dir: DIRECTORY
      resume: {store: none}
"""
REPLICAS = 2
QUERY: dict[str, Any] = {"codec": "pcm16", "rate": 16_000}
FORM = {"name": "anna", "consent": "true"}


@pytest.fixture(scope="module")
def graph(front_door: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The graph of voice_graph.py."""
    directory = tmp_path_factory.mktemp("voices")
    config = directory / "voices.yaml"
    config.write_text(CONFIG.replace("DIRECTORY", str(directory / "kept")))
    with running(config, front_door, directory) as graph:
        yield graph


@pytest.fixture(scope="module")
def recording() -> bytes:
    """Somebody speaks for four seconds."""
    script = ROOT / "tests" / "serve_app" / "audio" / "synthesise.py"
    text = "Good morning. I would like to book a table for two people this evening."
    spoken = subprocess.run(
        [sys.executable, str(script), text], capture_output=True, check=True, timeout=30
    )
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)
        file.writeframes(spoken.stdout)
    return out.getvalue()


def replicas(graph: Graph) -> list[psutil.Process]:
    """The processes of the voice."""
    title = "ServeReplica:parley:TextToSpeech"
    return [p for p in session_members(graph.session) if title in " ".join(p.cmdline())]


async def heard(graph: Graph, **query: Any) -> bytes:
    """The first audio of a reply."""
    async with calling(graph.url, **QUERY, **query) as caller:
        await caller.client.send_text("hello")
        return (await caller.until_a(told.Audio)).pcm


async def ask(graph: Graph, method: str, path: str = "", **content: Any) -> httpx.Response:
    """A request to the voices' endpoint."""
    async with httpx.AsyncClient(base_url=f"http://{graph.host}", timeout=30) as client:
        return await client.request(method, f"/v1/audio/voices{path}", **content)


async def until_spoken_with(graph: Graph, voice: str) -> None:
    """Calls until one is answered in a voice, as while replicas come back."""
    async with asyncio.timeout(60):
        while True:
            try:
                if any(await heard(graph, voice=voice)):
                    return
            except (CallRefused, AssertionError, TimeoutError):
                await asyncio.sleep(0.2)


async def test_a_voice_is_registered_spoken_with_and_deleted(
    graph: Graph, recording: bytes
) -> None:
    """At once at every replica, at those that take the place of killed ones, and then no more."""
    with pytest.raises(CallRefused, match="no 'anna'"):
        await heard(graph, voice="anna")
    files = {"audio_sample": ("anna.wav", recording, "audio/wav")}
    registered = await ask(graph, "POST", data=FORM, files=files)
    assert registered.status_code == 200, registered.text
    assert registered.json()["id"] == "anna"
    again = await ask(graph, "POST", data=FORM, files=files)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "voice_exists")

    # The router draws among the replicas; each is met in so many calls, as good as surely.
    for _ in range(8):
        assert any(await heard(graph, voice="anna"))
    assert not any(await heard(graph, voice="robot"))
    listed = (await ask(graph, "GET")).json()["data"]
    assert [voice["id"] for voice in listed] == ["robot", "anna"]

    before = replicas(graph)
    assert len(before) == REPLICAS
    for process in before:
        process.send_signal(signal.SIGKILL)
    await until_spoken_with(graph, "anna")

    deleted = await ask(graph, "DELETE", "/anna")
    assert deleted.json()["deleted"] is True
    with pytest.raises(CallRefused, match="no 'anna'"):
        await heard(graph, voice="anna")
    assert (await ask(graph, "DELETE", "/anna")).status_code == 404


async def test_what_is_no_recording_ends_nothing(graph: Graph) -> None:
    """A typed error for each, through the front door, and calls go on."""
    cases = {
        b"no audio": (400, "recording_undecodable"),
        bytes(11 * 1024 * 1024): (413, "upload_too_large"),
    }
    for data, expected in cases.items():
        files = {"audio_sample": ("x.wav", data, "audio/wav")}
        answer = await ask(graph, "POST", data=FORM, files=files)
        assert (answer.status_code, answer.json()["error"]["code"]) == expected
    assert await heard(graph) == bytes(len(await heard(graph)))


async def test_a_voice_is_registered_by_a_socket_and_speaks_on_it(
    graph: Graph, recording: bytes
) -> None:
    """The socket of the voice alone; HTTP lists what it registered."""
    sample = base64.b64encode(recording).decode()
    offer = {"type": "register_voice", "voice_id": "bert", "reference_audio": sample}
    spoken = {"type": "synthesize", "text": "Hi.", "voice_id": "bert", "streaming": False}
    async with connect(f"ws://{graph.host}/v1/tts", max_size=None) as socket:
        await socket.send(json.dumps(offer))
        await socket.send(json.dumps(spoken))
        async with asyncio.timeout(30):
            registered, chunk, audio = [await socket.recv() for _ in range(3)]
            assert json.loads(registered) == {"type": "voice_registered", "voice_id": "bert"}
            assert json.loads(chunk)["type"] == "audio_chunk"
            assert any(audio)
            await socket.recv()
            await socket.send(json.dumps(offer))
            assert json.loads(await socket.recv())["code"] == "voice_exists"
    listed = (await ask(graph, "GET")).json()["data"]
    assert "bert" in [voice["id"] for voice in listed]
    assert (await ask(graph, "DELETE", "/bert")).status_code == 200
