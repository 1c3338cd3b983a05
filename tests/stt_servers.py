"""Servers on this machine that speak the protocols of the remote recognisers, well and badly.

They hear the same words whatever is said, spread over the audio, so that a contract can be tested.
"""

from __future__ import annotations

import email
import email.policy
import http.server
import io
import json
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

HEARD = "hello how are you today"
TRANSLATED = "good morning"
REMOTE = ("openai", "deepgram")


@dataclass
class Seen:
    """What a server does, and what it saw."""

    status: int = 200
    doubtful: bool = False
    silent: bool = False
    garbage: str = ""
    url: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    gone: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


@contextmanager
def running(name: str) -> Iterator[tuple[dict[str, object], Seen]]:
    """A server for the backend of that name: its settings, and what the server sees."""
    seen = Seen()
    with (transcriptions if name == "openai" else listen)(seen):
        key = "base_url" if name == "openai" else "url"
        yield {key: seen.url, "timeout_s": 5.0}, seen


def placed(seconds: float) -> list[dict[str, Any]]:
    """The words, one after another over the audio."""
    words = HEARD.split()
    each = seconds / len(words)
    return [
        {"word": word, "start": at * each, "end": (at + 1) * each, "confidence": 0.9}
        for at, word in enumerate(words)
    ]


@contextmanager
def transcriptions(seen: Seen) -> Iterator[None]:
    """OpenAI's `POST /v1/audio/transcriptions` and `/translations`, with uploads as
    `multipart/form-data`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            fields, sound = _form(self.headers["content-type"], body)
            seen.keys.append(self.headers["authorization"])
            seen.requests.append({**fields, "path": self.path})
            with wave.open(io.BytesIO(sound)) as file:
                assert (file.getnchannels(), file.getframerate()) == (1, 16_000)
                seen.seconds.append(file.getnframes() / 16_000)
            answer = json.dumps(self._answer(fields)).encode()
            self.send_response(seen.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _answer(self, fields: dict[str, str]) -> dict[str, Any]:
            if seen.status != 200:
                return {"error": {"message": "as told"}}
            if self.path.endswith("/translations"):
                told = _verbose(seen, seen.seconds[-1], TRANSLATED)
                return {key: told[key] for key in ("text", "language", "duration", "segments")}
            if fields.get("response_format") != "verbose_json":
                return {"text": f" {HEARD}"}
            return _verbose(seen, seen.seconds[-1])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}/v1"
    with _in_thread(server.serve_forever, server.shutdown):
        yield
    server.server_close()


def _verbose(seen: Seen, seconds: float, said: str = HEARD) -> dict[str, Any]:
    sure = {"avg_logprob": -0.2, "no_speech_prob": 0.01, "compression_ratio": 1.1}
    rest = {"id": 0, "seek": 0, "temperature": 0.0, "tokens": []}
    segments = [{"text": f" {said}", "start": 0.0, "end": seconds, **sure, **rest}]
    words = placed(seconds)
    if seen.doubtful:
        unsure = {"avg_logprob": -1.5, "no_speech_prob": 0.9, "compression_ratio": 1.1}
        end = seconds + 1
        segments.append({"text": " thank you", "start": seconds, "end": end, **unsure, **rest})
        words.append({"word": "thank", "start": seconds, "end": end})
    text = "".join(segment["text"] for segment in segments)
    return {
        "text": text,
        "language": "english",
        "duration": seconds,
        "words": words,
        "segments": segments,
    }


@contextmanager
def listen(seen: Seen) -> Iterator[None]:
    """Deepgram's `/v1/listen`: audio in binary messages, results in text messages."""

    def refuse(connection: ServerConnection, request: Any) -> Any:
        query = parse_qs(urlsplit(request.path).query)
        seen.requests.append({name: values[0] for name, values in query.items()})
        seen.keys.append(request.headers.get("authorization"))
        return None if seen.status == 200 else connection.respond(seen.status, "as told")

    def handle(connection: ServerConnection) -> None:
        seconds = 0.0
        try:
            for message in connection:
                if isinstance(message, bytes):
                    seconds += len(message) / 32_000
                    connection.send(seen.garbage or _results(seconds, final=False))
                elif json.loads(message)["type"] == "CloseStream" and not seen.silent:
                    seen.seconds.append(seconds)
                    connection.send(_results(seconds, final=True))
                    connection.send(json.dumps({"type": "Metadata", "duration": seconds}))
                    return
        except ConnectionClosed:
            pass
        finally:
            seen.gone.release()

    server = serve(handle, "127.0.0.1", 0, process_request=refuse)
    seen.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/v1/listen"
    with _in_thread(server.serve_forever, server.shutdown):
        yield


def _results(seconds: float, *, final: bool) -> str:
    """All words of the audio so far; an interim result holds the first of them only."""
    words = placed(seconds) if final else placed(seconds)[:2]
    best = {"transcript": " ".join(w["word"] for w in words), "confidence": 0.9, "words": words}
    return json.dumps(
        {
            "type": "Results",
            "channel_index": [0, 1],
            "start": 0.0,
            "duration": seconds,
            "is_final": final,
            "speech_final": False,
            "from_finalize": False,
            "channel": {"alternatives": [best]},
        }
    )


def _form(content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """The fields of a form, and its file."""
    head = f"content-type: {content_type}\r\n\r\n".encode()
    form = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    fields: dict[str, str] = {}
    sound = b""
    for part in form.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if part.get_filename():
            sound = content
        else:
            fields[name] = content.decode()
    return fields, sound


@contextmanager
def _in_thread(serve_forever: Any, shutdown: Any) -> Iterator[None]:
    thread = threading.Thread(target=serve_forever)
    thread.start()
    try:
        yield
    finally:
        shutdown()
        thread.join()
