"""Other people's clients, as they are installed, hold a conversation of two turns and a barge-in.

Each is a program in an environment of its own (`programs/`, `node/`); what it reports is read here,
and what the model was shown of the conversation.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients_real.model_server import (
    CALL,
    LISTENING,
    LOOKING,
    SORRY,
    STORY,
    Message,
    ModelServer,
    heard_of_story,
)
from tests.e2e.graph import ROOT, Graph

pytestmark = pytest.mark.timeout(240)

HERE = Path(__file__).parent
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
LIMIT_S = 150
REPLY_MS = (300, 3_500)
"""How long a short reply sounds."""

Told = dict[str, Any]


def reported(*command: str | Path) -> list[Told]:
    """What a program told, once it has ended well."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{lines}"
    return lines


def of(told: list[Told], event: str) -> list[Told]:
    """The reports of a kind, in order."""
    return [fields for fields in told if fields["event"] == event]


def check_conversation(told: list[Told], model: ModelServer) -> None:
    """What the client told its application, and what the model knows in the end."""
    assert not of(told, "error")
    heard = [fields["text"] for fields in of(told, "heard")]
    assert len(heard) == 3
    assert all("unhappy" in text for text in heard)
    assert of(told, "called")[0]["arguments"] == json.loads(CALL["arguments"])
    replies = {fields["text"]: fields["audio_ms"] for fields in of(told, "replied")}
    looked, weather, story, last = list(replies)[-4:]
    assert (looked, weather, last) == (LOOKING, "It is raining.", LISTENING)
    assert story in STORY
    for text in (looked, weather, last):
        assert REPLY_MS[0] < replies[text] < REPLY_MS[1], text
    # Audio stops: of twenty seconds little more was sent than was played before the interruption.
    assert replies[story] < 4_500
    assert told[-1]["event"] == "closed"
    check_memory(model.asked[-1])


def check_memory(messages: list[Message]) -> None:
    """The call and its result in their place; of the story what was heard, cut at a word."""
    said = [m for m in messages if m["role"] != "system" and m["content"] != "Hello there."]
    roles = ["user", "assistant", "assistant", "tool", "assistant", "user", "assistant", "user"]
    assert [message["role"] for message in said] == roles
    assert said[2]["tool_calls"][0]["function"] == CALL
    check_cut(said[-2])


def check_cut(story: Message) -> None:
    """Some of it was heard, not all, and no half word."""
    assert heard_of_story(story)
    heard = str(story["content"])
    assert 2 <= len(heard.split()) < 20
    assert STORY[len(heard)] == " "


def test_pipecat(agent: Graph, model: ModelServer, speech: Path) -> None:
    """OpenAIRealtimeLLMService in a pipeline, with a function."""
    told = reported(PYTHON, HERE / "programs" / "pipecat_realtime.py", agent.host, speech)
    assert of(told, "replied")[0]["text"] == "Hello there."
    assert len(of(told, "interrupted")) == 1
    check_conversation(told, model)


def test_livekit(agent: Graph, model: ModelServer, speech: Path) -> None:
    """An agent whose model is RealtimeModel, with a function."""
    told = reported(PYTHON, HERE / "programs" / "livekit_realtime.py", agent.host, speech)
    assert len(of(told, "interrupted")) == 1
    check_conversation(told, model)


def test_agents_js(agent: Graph, model: ModelServer, speech: Path) -> None:
    """RealtimeSession over its WebSocket transport, with a function."""
    told = reported("node", HERE / "node" / "agents_realtime.mjs", agent.host, speech)
    [truncated] = of(told, "truncated")
    assert 1_000 < truncated["ms"] < 4_500
    check_conversation(told, model)


def test_a_telephone(agent: Graph, model: ModelServer, speech: Path) -> None:
    """Twilio's side by pipecat's serializer: mu-law, marks, and a clear on the interruption."""
    told = reported(PYTHON, HERE / "programs" / "twilio_phone.py", agent.host, speech)
    assert [fields["event"] for fields in told] == ["replied", "interrupted", "replied", "closed"]
    first, _, last, closed = told
    assert REPLY_MS[0] < first["audio_ms"] < REPLY_MS[1]
    assert REPLY_MS[0] < last["audio_ms"] < REPLY_MS[1] + 4_500
    assert closed["code"] == 1000
    said = [message for message in model.asked[-1] if message["role"] != "system"]
    assert ["unhappy" in message["content"] for message in said[::2]] == [True, True, True]
    assert said[1]["content"] == SORRY
    check_cut(said[3])
