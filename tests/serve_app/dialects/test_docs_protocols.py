"""The examples of docs/protocol-{realtime,twilio,services}.md are messages that were recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from serve_app.dialects.realtime_keys import answer
from serve_app.dialects.routes import Keys, Post
from serve_app.dialects.twilio import ANSWER
from tests.serve_app.dialects.exchange import TRANSCRIPTS, Step, matches, steps

_DOCS = Path(__file__).parents[3] / "docs"
_PAGES = {"realtime": ("realtime-",), "twilio": ("twilio-",), "services": ("asr-", "tts-")}
_SIDES = ("client", "server")
_ALL = [(page, side) for page in _PAGES for side in _SIDES]


def _page(name: str) -> str:
    return (_DOCS / f"protocol-{name}.md").read_text()


def _shown(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _page(page), re.MULTILINE | re.DOTALL)


def _recorded(page: str, side: str) -> list[Step]:
    """What was recorded of a page's dialects, but for what was refused."""
    found: list[Step] = []
    for transcript in sorted(TRANSCRIPTS.glob("*.jsonl")):
        if transcript.name.startswith(_PAGES[page]):
            every = steps(transcript)
            followed = zip(every, [*every[1:], {}], strict=True)
            for step, after in followed:
                if isinstance(step.get(side), dict) and "error" not in after:
                    found.append(step[side])
    return found


def _kind(message: dict[str, Any]) -> str:
    return message.get("type") or message["event"]


@pytest.mark.parametrize(("page", "side"), _ALL)
def test_examples_were_recorded(page: str, side: str) -> None:
    """Each example is, but for its event_id, a message of a transcript."""
    recorded = _recorded(page, side)
    for text in _shown(page, f"json {side}"):
        example = json.loads(text)
        assert any(matches(message, example) for message in recorded), text


@pytest.mark.parametrize(("page", "side"), _ALL)
def test_every_message_has_an_example(page: str, side: str) -> None:
    """Of either side."""
    shown = {_kind(json.loads(text)) for text in _shown(page, f"json {side}")}
    assert shown == {_kind(message) for message in _recorded(page, side)}


@pytest.mark.parametrize("page", _PAGES)
def test_every_example_is_marked(page: str) -> None:
    """No fenced block escapes these tests."""
    marks = set(re.findall(r"^```(.+)$", _page(page), re.MULTILINE))
    known = {"json client", "json server", "json post", "python", "xml"}
    assert marks <= known


def test_the_key_example_is_answered() -> None:
    """As the page says."""
    [example] = _shown("realtime", "json post")
    page = answer(Post("/v1/realtime/client_secrets", {}, example.encode(), 1_000), Keys(b"s"))
    told = json.loads(page.body)
    assert told["value"].startswith("ek_")
    assert told["expires_at"] == 1_060
    assert told["session"]["instructions"] == "Be brief."


def test_the_twiml_example_is_the_answer() -> None:
    """To a call that comes in."""
    [example] = _shown("twilio", "xml")
    post = Post(ANSWER.path, {"host": "your-host"}, b"", 0)
    assert ANSWER.answer(post, Keys(b"s")).body.decode() == example.strip()


def test_realtime_leaves_no_event_of_the_protocol_out() -> None:
    """What the protocol's tables have."""
    names = {_kind(message) for message in _recorded("realtime", "server")}
    assert names == set(_SERVER_EVENTS.split()) | {"parley.recording"}
    assert {_kind(message) for message in _recorded("realtime", "client")} == set(
        _CLIENT_EVENTS.split()
    )


_CLIENT_EVENTS = """
session.update input_audio_buffer.append input_audio_buffer.commit input_audio_buffer.clear
output_audio_buffer.clear conversation.item.create conversation.item.delete
conversation.item.retrieve conversation.item.truncate response.create response.cancel
"""
_SERVER_EVENTS = """
session.created session.updated conversation.created conversation.item.added
conversation.item.done conversation.item.retrieved conversation.item.deleted
conversation.item.truncated input_audio_buffer.speech_started input_audio_buffer.speech_stopped
input_audio_buffer.committed input_audio_buffer.cleared input_audio_buffer.timeout_triggered
conversation.item.input_audio_transcription.delta
conversation.item.input_audio_transcription.completed
conversation.item.input_audio_transcription.failed
response.created response.done response.output_item.added response.output_item.done
response.content_part.added response.content_part.done response.output_audio.delta
response.output_audio.done response.output_audio_transcript.delta
response.output_audio_transcript.done response.output_text.delta response.output_text.done
response.function_call_arguments.delta response.function_call_arguments.done
rate_limits.updated error
"""
