"""The spans of a call's turns, and what the stages are told of them."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from ray.exceptions import ActorDiedError

from deployments import tracing
from deployments.contracts import (
    AudioChunk,
    ReplyRequest,
    SpeechRequest,
    SpeechWindow,
    StageInfo,
    TextDelta,
    Transcript,
)
from serve_app.conversation.policy import TurnPolicy
from serve_app.settings import StageSettings
from serve_app.stages import RayStages
from tests.fake_handles import FakeHandle
from tests.fakes import HANG, FakeStages
from tests.open_call import open_call
from tests.spans import Spans, spans
from tests.virtual_time import in_virtual_time

__all__ = ["spans"]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """A span's, without the prefix."""
    return {name.removeprefix("parley."): v for name, v in (span.attributes or {}).items()}


@in_virtual_time
async def test_a_spoken_turn_is_a_span(spans: Spans) -> None:
    """With its reply below it, its timings, and no word of what was said."""
    stages = FakeStages(finals=[[0.03, "my secret"]], replies=[["Another secret."]])
    async with open_call(stages) as call:
        await call.client.turn()
        await call.client.until("reply_done")
    assert spans.tree() == {"": ["turn"], "turn": ["reply"]}
    turn = attributes(spans.named("turn"))
    assert (turn["call_id"], turn["status"], round(turn["stt_ms"])) == ("call", "completed", 30)
    assert attributes(spans.named("reply")) == {"reply_id": "reply-1"}
    assert not any("secret" in span.to_json() for span in spans.ended)


@in_virtual_time
async def test_every_turn_has_a_trace_of_its_own(spans: Spans) -> None:
    """Two spoken, one typed."""
    async with open_call(FakeStages(replies=[["One."], ["Two."], ["Three."]])) as call:
        for count in (1, 2):
            await call.client.turn()
            await call.client.until("reply_done", count)
        call.client.say("text", text="hi")
        await call.client.until("reply_done", 3)
    assert spans.tree() == {"": ["turn"] * 3, "turn": ["reply"] * 3}
    turns = [span for span in spans.ended if span.name == "turn"]
    assert len({span.context.trace_id for span in turns}) == 3
    assert [attributes(turn).get("turn_id") is None for turn in turns] == [False, False, True]
    assert [attributes(turn)["status"] for turn in turns] == ["completed"] * 3


@in_virtual_time
async def test_a_reply_in_vain_belongs_to_its_turn(spans: Spans) -> None:
    """A speculative reply that was dropped, and the one that was heard."""
    policy = TurnPolicy(speculation="reply")
    stages = FakeStages(finals=[["one"], ["one two"]], replies=[["No.", 9.0], ["Yes."]])
    async with open_call(stages, policy) as call:
        await call.client.speak(640)
        await call.client.be_silent(256)
        await call.client.turn(640)
        await call.client.until("reply_done")
    assert spans.tree() == {"": ["turn"], "turn": ["reply", "reply"]}


@in_virtual_time
async def test_a_call_that_ends_in_a_turn_ends_its_spans(spans: Spans) -> None:
    """The client hung up before it was understood."""
    async with open_call(FakeStages(finals=[[HANG]])) as call:
        await call.client.turn()
    assert spans.tree() == {"": ["turn"]}
    assert attributes(spans.named("turn"))["status"] == "hung_up"


def stages_over(**handles: FakeHandle) -> RayStages:
    """RayStages over handles."""
    settings = StageSettings(backend="any")
    made: Any = [(handles.get(name, FakeHandle()), settings) for name in ("stt", "llm", "tts")]
    stages = RayStages(*made)
    stages.info["stt"] = StageInfo("windows")
    return stages


@in_virtual_time
async def test_stages_learn_whose_work_it_is(spans: Spans) -> None:
    """Each hop is a span of its own, and what it sends names it; each try of a stream is one."""
    stt = FakeHandle(transcribe=[[Transcript("hi")]])
    llm = FakeHandle(reply=[[ActorDiedError()], [TextDelta("Hi.")]])
    tts = FakeHandle(speak=[[AudioChunk(b"\0\0", 16_000)]])
    hops = stages_over(stt=stt, llm=llm, tts=tts)
    turn = tracing.begin("turn")
    with tracing.below(turn):
        await hops.transcriber("call", None).transcribe(b"\0\0", 1, final=True)
        for stream in (hops.reply(ReplyRequest(())), hops.speak(SpeechRequest("hi"))):
            async with aclosing(stream) as items:
                assert [item async for item in items]
    turn.end()
    assert spans.tree() == {
        "": ["turn"],
        "turn": ["stt transcribe", "llm reply", "llm reply", "tts speak"],
    }
    requests: list[Any] = [*stt.requests, *llm.requests, *tts.requests]
    sent = [int(request.trace.split("-")[2], 16) for request in requests]
    ended = sorted(spans.ended, key=lambda span: span.start_time or 0)
    assert sent == [span.context.span_id for span in ended if span.name != "turn"]
    failed, answered = (span for span in ended if span.name == "llm reply")
    assert attributes(failed) == {"ended_by": "StageLost"}
    assert [event.name for event in answered.events] == ["first"]


@in_virtual_time
async def test_without_tracing_requests_are_as_they_were() -> None:
    """Nothing is added to what crosses a handle."""
    stt = FakeHandle(transcribe=[[Transcript("hi")]])
    await stages_over(stt=stt).transcriber("call", None).transcribe(b"\0\0", 1, final=True)
    assert stt.requests == [SpeechWindow(b"\0\0", True)]
