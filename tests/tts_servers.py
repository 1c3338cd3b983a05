"""Real HTTP servers that speak the speech protocols of OpenAI and of ElevenLabs, well and badly.

They run in threads of their own, because the clients block.
"""

from __future__ import annotations

import base64
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

_KEY_ENV = "PARLEY_TESTS_KEY"

REMOTE = ("openai", "elevenlabs")
"""The voices that ask such a server."""

MS_PER_CHARACTER = 60
CHUNK_MS = 200
RATE = 24_000
ACCOUNT = {"George": "g" * 20, "Alice": "a" * 20}
"""The voices of the ElevenLabs account: names → ids."""


@dataclass
class Server:
    """What a server does, and what it saw. `status` other than 200 answers with `body`."""

    status: int = 200
    body: Any = field(default_factory=lambda: {"error": {"message": "as told"}})
    lists_voices: bool = True
    endless: bool = False
    breaks: bool = False
    stalls: bool = False
    begins_with: bytes = b""
    cut_bytes: int = CHUNK_MS * RATE // 1000 * 2
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""


def tone(text: str) -> bytes:
    """What a text sounds like."""
    samples = len(text) * MS_PER_CHARACTER * RATE // 1000
    return struct.pack(f"<{samples}h", *((index % 100) * 50 for index in range(samples)))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at what `Server` saw."""

    def do_GET(self) -> None:
        script = self.server.script
        self._note({})
        if not script.lists_voices:
            detail = {"status": "missing_permissions", "message": "voices_read"}
            return self._answer(401, {"detail": detail})
        if script.status == 401:
            return self._answer(script.status, script.body)
        voices = [{"name": name, "voice_id": voice_id} for name, voice_id in ACCOUNT.items()]
        return self._answer(200, {"voices": voices})

    def do_POST(self) -> None:
        script = self.server.script
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._note(request)
        if script.status != 200:
            return self._answer(script.status, script.body)
        eleven = "/text-to-speech/" in self.path
        pieces = _lines(request["text"], script) if eleven else _pcm(request["input"], script)
        self.send_response(200)
        self.send_header("content-type", "application/x-ndjson" if eleven else "audio/pcm")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for piece in pieces:
                self._chunk(piece)
                if script.stalls:
                    script.go_on.wait(5)
                if script.breaks:
                    self.close_connection = True
                    return None
            self._chunk(b"")
        except ConnectionError:
            script.left.set()
            self.close_connection = True
        return None

    def _note(self, request: dict[str, Any]) -> None:
        script = self.server.script
        script.paths.append(self.path)
        script.requests.append(request)
        script.keys.append(self.headers["xi-api-key"] or self.headers["authorization"])

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    script: Server


def _pcm(text: str, script: Server) -> Iterator[bytes]:
    sound = script.begins_with + tone(text)
    while True:
        for start in range(0, len(sound), script.cut_bytes):
            yield sound[start : start + script.cut_bytes]
        if not script.endless:
            return


def _lines(text: str, script: Server) -> Iterator[bytes]:
    """Each piece of audio with the characters that begin in it, behind a space of the server's."""
    begins = [0, *(index * MS_PER_CHARACTER for index in range(len(text)))]
    characters = f" {text}"
    at_ms = 0.0
    for audio in _pcm(text, script):
        end_ms = at_ms + len(audio) / 2 * 1000 / RATE
        here = [index for index, begin in enumerate(begins) if at_ms <= begin < end_ms]
        alignment = {
            "characters": [characters[index] for index in here],
            "character_start_times_seconds": [begins[index] / 1000 for index in here],
            "character_end_times_seconds": [begins[index] / 1000 + 0.06 for index in here],
        }
        line = {"audio_base64": base64.b64encode(audio).decode(), "alignment": alignment}
        yield json.dumps(line).encode() + b"\n"
        at_ms = end_ms


@contextmanager
def running(name: str) -> Iterator[dict[str, object]]:
    """A server for the backend of that name: its settings."""
    with listening(Server()) as server, pytest.MonkeyPatch.context() as environment:
        if name == "openai":
            yield {"base_url": f"{server.url}/v1", "api_key_env": ""}
        else:
            environment.setenv(_KEY_ENV, "any")
            yield {"base_url": server.url, "api_key_env": _KEY_ENV}


@contextmanager
def listening(script: Server) -> Iterator[Server]:
    """The server, until the end of the block."""
    listener = _Listener(("127.0.0.1", 0), _Handler)
    listener.script = script
    script.url = f"http://127.0.0.1:{listener.server_port}"
    threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield script
    finally:
        script.go_on.set()
        listener.shutdown()
        listener.server_close()


def query(path: str) -> dict[str, list[str]]:
    """A path's query."""
    return parse_qs(urlsplit(path).query)
