"""Tools in a whole call: run here and at the client, answered in speech, ended by barge-in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from deployments.contracts import Message, Tool, ToolCall
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.tooling import ToolPolicy
from serve_app.errors import StageFailed
from tests.fakes import FakeStages, audio_of
from tests.open_call import APOLOGY, open_call
from tests.virtual_time import in_virtual_time

POLICY = TurnPolicy(tools=ToolPolicy(own=(Tool("weather", "How it is outside."),)))
CALL = ToolCall("c1", "weather", '{"place": "Oslo"}')


@dataclass
class Weather:
    """A tool that takes its time, and knows whether it was cancelled."""

    takes_s: float = 0.5
    ran: list[ToolCall] = field(default_factory=list[ToolCall])
    cancelled: int = 0

    async def run(self, call: ToolCall) -> str:
        """See ToolRunner."""
        self.ran.append(call)
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "rain"


@in_virtual_time
async def test_a_tool_is_run_while_the_caller_hears_the_first_words() -> None:
    """Words, tool, words: one reply, one text, one audio; the model sees the result."""
    weather = Weather()
    stages = FakeStages(replies=[["Let me see.", CALL], ["It rains."]])
    async with open_call(stages, POLICY, tools=weather) as call:
        call.client.say("text", text="hi")
        done = await call.client.until("reply_done")
        assert (done.fields["status"], done.fields["heard"]) == (
            "completed",
            "Let me see. It rains.",
        )
        assert call.client.pcm == audio_of("Let me see.", "It rains.")
        assert len(call.client.of("reply_started")) == 1
    assert weather.ran == [CALL]
    first, second = [work.request for work in stages.of("llm")]
    assert first.tools == second.tools == POLICY.tools.own
    assert second.messages == (
        Message("user", "hi"),
        Message("assistant", "", (CALL,)),
        Message("tool", "rain", (), "c1"),
    )


@in_virtual_time
async def test_the_client_answers_a_tool_of_its_own() -> None:
    """Declared, called, answered; the call goes on in the same reply."""
    stages = FakeStages(
        replies=[[ToolCall("c2", "open_page", '{"page": "offers"}')], ["There it is."]]
    )
    async with open_call(stages) as call:
        call.client.say("config", tools=[{"name": "open_page"}])
        call.client.say("text", text="show me")
        asked = await call.client.until("tool_call")
        assert asked.fields == {
            "type": "tool_call",
            "reply_id": "reply-1",
            "call_id": "c2",
            "name": "open_page",
            "arguments": {"page": "offers"},
        }
        call.client.say("tool_result", call_id="c2", result="shown")
        assert (await call.client.until("reply_done")).fields["heard"] == "There it is."
    assert stages.of("llm")[1].request.messages[-1] == Message("tool", "shown", (), "c2")


@in_virtual_time
async def test_an_interruption_cancels_the_tool() -> None:
    """Nothing of the reply is left running, and the next turn is answered."""
    weather = Weather(takes_s=60)
    stages = FakeStages(replies=[[CALL], ["Good morning."]])
    async with open_call(stages, POLICY, tools=weather) as call:
        call.client.say("text", text="hi")
        await asyncio.sleep(1)
        call.client.say("interrupt")
        assert (await call.client.until("reply_done")).fields["status"] == "interrupted"
        await asyncio.sleep(0.1)
        assert weather.cancelled == 1
        call.client.say("text", text="hello")
        assert (await call.client.until("reply_done", 2)).fields["heard"] == "Good morning."


@in_virtual_time
async def test_a_model_without_tools_calls_none() -> None:
    """What it calls nevertheless is no reason to wait."""
    stages = FakeStages(replies=[["Fine.", CALL]])
    async with open_call(stages) as call:
        call.client.say("text", text="hi")
        assert (await call.client.until("reply_done")).fields["heard"] == "Fine."


@in_virtual_time
async def test_a_model_that_fails_after_a_tool_apologises() -> None:
    """The first words stay, the apology follows, the reply is failed."""
    failure = StageFailed("llm", "no")
    stages = FakeStages(replies=[["Let me see.", CALL], [failure]])
    async with open_call(stages, POLICY, tools=Weather()) as call:
        call.client.say("text", text="hi")
        assert (await call.client.until("reply_done")).fields["status"] == "failed"
        assert call.client.pcm == audio_of("Let me see.", APOLOGY)
