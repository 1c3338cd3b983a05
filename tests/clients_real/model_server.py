"""A model server whose part is written: OpenAI's chat protocol, answered by the talk so far."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GREETING = "Hello there."
LOOKING = "Let me have a look."
SORRY = "I am sorry to hear that."
STORY = (
    "Once upon a time there was a small town by the sea, where nothing ever happened. "
    "Every morning the fishermen went out in their boats, and every evening they came home. "
    "One day a stranger arrived on the last train, with a red hat and a very large suitcase. "
    "Nobody knew his name, and nobody dared to ask what he had brought along."
)
LISTENING = "All right, I am listening."
CALL = {"name": "get_weather", "arguments": '{"place": "Oslo"}'}

Message = dict[str, Any]


def part(messages: list[Message], tools: bool) -> tuple[str, bool]:
    """What the model says next, and whether it calls the tool then.

    First it looks the weather up, where it can; then it tells a story, until it is interrupted.
    """
    turns = [message for message in messages if message["role"] == "user"]
    if messages and messages[-1]["role"] == "tool":
        given = str(messages[-1]["content"]).strip('"')  # Some clients send results as JSON.
        return f"It is {given}.", False
    if any(heard_of_story(message) for message in messages):
        return LISTENING, False
    if len(turns) > 1:
        return STORY, False
    return (LOOKING, True) if turns and tools else (SORRY if turns else GREETING, False)


def heard_of_story(message: Message) -> bool:
    """The caller heard some of the story, or all."""
    words = str(message["content"])
    return message["role"] == "assistant" and words[:4] == STORY[:4] and STORY.startswith(words)


@dataclass
class ModelServer:
    """Where it listens, and the conversations it was shown."""

    url: str
    asked: list[list[Message]] = field(default_factory=list[list[Message]])


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        """One reply, streamed."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.model.asked.append(request["messages"])
        words, calls = part(request["messages"], bool(request.get("tools")))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for word in words.split(" "):
            self._send({"content": word if word == words.split(" ")[0] else f" {word}"})
        if calls:
            call_id = f"call_{len(self.server.model.asked)}"
            call = {"index": 0, "id": call_id, "type": "function", "function": CALL}
            self._send({"tool_calls": [call]})
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, delta: Message) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        self.wfile.write(f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""
        del format, args


@contextlib.contextmanager
def model_server() -> Iterator[ModelServer]:
    """The server, on a port that is free."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        model = ModelServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
        server.model = model  # type: ignore[attr-defined]
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield model
        finally:
            server.shutdown()
            serving.join()
