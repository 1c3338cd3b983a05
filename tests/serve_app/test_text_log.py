"""What callers and the agent say stays out of the log, whatever goes wrong, unless it is wanted."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from serve_app import text_log
from serve_app.errors import StageFailed, StageTimeout
from tests.fakes import FakeStages
from tests.open_call import open_call
from tests.virtual_time import in_virtual_time

SAID, ANSWERED, TYPED = "zebra crossing", "Purple elephants sing.", "a secret typed"
WORDS = ("zebra", "elephant", "secret", "parley_0123", "instruct")


async def converse(stages: FakeStages, **options: Any) -> None:
    """A spoken turn and a typed one, some nonsense, instructions and a key."""
    options["query"] = {"api_key": "parley_0123456789ab_secret"}
    async with open_call(stages, instructions="instruct", **options) as call:
        await call.client.until("ready")
        await call.client.turn()
        await call.client.until("final")
        await call.client.until("reply_done")
        call.client.say("text", text=TYPED)
        await call.client.until("reply_done", 2)
        call.client.put('{"type": "secret zebra"}')
        call.client.say("config", voice="secret voice", instructions="instruct")
        await call.client.until("error")


@pytest.mark.parametrize("fails", ["nothing", "stt", "llm", "tts"])
@in_virtual_time
async def test_no_word_is_logged(fails: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not by any logger, at any level."""
    stages = FakeStages(finals=[[SAID]], replies=[[ANSWERED]])
    if fails == "stt":
        stages.finals = [[StageTimeout("stt", "nothing in 3 s")]]
    if fails == "llm":
        stages.replies = [[StageFailed("llm", "BackendError: 400")]]
    if fails == "tts":
        stages.speak_as = lambda _: [StageFailed("tts", "BackendError: broke")]
    with caplog.at_level(logging.DEBUG):
        if fails == "stt":
            async with open_call(stages) as call:
                await call.client.turn()
                await call.client.until("error")
        else:
            await converse(stages)
    assert not [word for word in WORDS if word in caplog.text.lower()]


@in_virtual_time
async def test_it_is_logged_where_it_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    """Turns and replies by call, in letters that no terminal obeys."""
    text_log.allow(True)
    try:
        with caplog.at_level(logging.INFO, text_log.log.name):
            await converse(FakeStages(finals=[[SAID + "\x1b[2J"]], replies=[[ANSWERED]]))
    finally:
        text_log.allow(False)
    told = [record.getMessage() for record in caplog.records if record.name == text_log.log.name]
    assert told[0] == "call call: caller: 'zebra crossing\\x1b[2J'"
    assert [line.split(": ")[1] for line in told] == ["caller", "agent", "agent"]
