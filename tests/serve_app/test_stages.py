"""The stages over scripted handles: time-outs, retries, the error map, circuits, cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import pytest
from ray.exceptions import ActorDiedError, RayActorError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
    RequestCancelledError,
)
from ray.serve.handle import DeploymentHandle

from deployments.contracts import (
    AudioChunk,
    BadInput,
    Overloaded,
    ReplyRequest,
    SpeechRequest,
    StageInfo,
    TextDelta,
)
from serve_app.breaker import COOL_DOWN_S, THRESHOLD
from serve_app.errors import (
    PeerError,
    StageError,
    StageFailed,
    StageLost,
    StageOverloaded,
    StageRefused,
    StageTimeout,
)
from serve_app.hop import DESCRIBE_TIMEOUT_S
from serve_app.settings import StageSettings
from serve_app.stages import RayStages
from tests.fake_handles import FakeHandle, task_error
from tests.fakes import HANG
from tests.virtual_time import in_virtual_time

REQUEST = ReplyRequest(())
FIRST_S, NEXT_S = 2.0, 1.0
SETTINGS = StageSettings(backend="any", first_s=FIRST_S, next_s=NEXT_S)
NO = StageInfo("none")


def stages_over(
    stt: FakeHandle | None = None,
    llm: FakeHandle | None = None,
    tts: FakeHandle | None = None,
) -> RayStages:
    """RayStages over handles, warm."""
    unused = FakeHandle()
    stages = RayStages(
        *((cast("DeploymentHandle[Any]", h or unused), SETTINGS) for h in (stt, llm, tts))  # type: ignore[arg-type]
    )
    stages.info = {"stt": NO, "llm": NO, "tts": NO}
    return stages


def deltas(*texts: object) -> list[object]:
    """A script of text deltas; what is not a string stays as it is."""
    return [TextDelta(text) if isinstance(text, str) else text for text in texts]


async def read(stream: AsyncGenerator[TextDelta, None]) -> str:
    """All of a stream's text."""
    async with aclosing(stream) as items:
        return "".join([delta.text async for delta in items])


async def read_into(texts: list[str], stages: RayStages) -> None:
    """A reply's texts, those before a failure included."""
    async for delta in stages.reply(REQUEST):
        texts.append(delta.text)


def now() -> float:
    """Virtual time."""
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_a_stream_gives_all_its_items_and_is_let_go() -> None:
    """Success: in order, cancelled on the way out like every other way."""
    llm = FakeHandle(reply=[deltas("Good ", 0.5, "morning.")])
    assert await read(stages_over(llm=llm).reply(REQUEST)) == "Good morning."
    assert llm.requests == [REQUEST]
    assert llm.cancels == [1]


@in_virtual_time
async def test_an_item_arrives_when_it_is_made() -> None:
    """Nothing is gathered on the way."""
    chunk = AudioChunk(b"\0\0", 16_000)
    tts = FakeHandle(speak=[[0.3, chunk, 0.4, chunk]])
    began, arrived = now(), list[float]()
    async with aclosing(stages_over(tts=tts).speak(SpeechRequest("hi"))) as chunks:
        async for _ in chunks:
            arrived.append(round(now() - began, 6))
    assert arrived == [0.3, 0.7]


@in_virtual_time
async def test_the_first_item_has_its_own_time_out_and_is_retried_once() -> None:
    """Two replicas that hang: two time-outs, then a typed error, both cancelled."""
    llm = FakeHandle(reply=[[HANG]])
    began = now()
    with pytest.raises(StageTimeout) as caught:
        await read(stages_over(llm=llm).reply(REQUEST))
    assert now() - began == pytest.approx(2 * FIRST_S)
    assert (caught.value.stage, caught.value.code) == ("llm", "stage_timeout")
    assert llm.cancels == [1, 1]


@in_virtual_time
async def test_the_next_item_has_another_time_out_and_is_not_retried() -> None:
    """Half of the text was read: the same text again would be heard twice."""
    llm = FakeHandle(reply=[deltas("Good ", HANG)])
    began, texts = now(), list[str]()
    with pytest.raises(StageTimeout):
        await read_into(texts, stages_over(llm=llm))
    assert now() - began == pytest.approx(NEXT_S)
    assert texts == ["Good "]
    assert llm.cancels == [1]


@in_virtual_time
async def test_a_slow_reader_is_no_slow_stage() -> None:
    """Time the consumer takes counts for nobody."""
    llm = FakeHandle(reply=[deltas("a", "b", "c")])
    async with aclosing(stages_over(llm=llm).reply(REQUEST)) as items:
        async for _ in items:
            await asyncio.sleep(10 * NEXT_S)
    assert llm.responses[0].taken == 3


@in_virtual_time
async def test_a_stream_that_fails_before_its_first_item_is_tried_again() -> None:
    """A replica that died: another one answers, and nobody notices."""
    llm = FakeHandle(reply=[[RayActorError()], deltas("Hello.")])
    assert await read(stages_over(llm=llm).reply(REQUEST)) == "Hello."
    assert llm.cancels == [1, 1]


@in_virtual_time
async def test_a_stream_that_fails_after_its_first_item_is_not() -> None:
    """The error is raised after what was made."""
    llm = FakeHandle(reply=[deltas("Hello ", RayActorError())])
    texts: list[str] = []
    with pytest.raises(StageLost):
        await read_into(texts, stages_over(llm=llm))
    assert texts == ["Hello "]
    assert llm.cancels == [1]


@in_virtual_time
async def test_leaving_a_stream_early_cancels_it() -> None:
    """Closing the generator stops the replica."""
    llm = FakeHandle(reply=[deltas("Hello ", 0.1, "there ", 0.1, "you.")])
    async with aclosing(stages_over(llm=llm).reply(REQUEST)) as items:
        async for _ in items:
            break
    assert llm.cancels == [1]


@pytest.mark.parametrize("after", [0, 1])
@in_virtual_time
async def test_cancelling_the_reader_cancels_the_stream_at_once(after: int) -> None:
    """A barge-in: no grace period, before or after the first item."""
    llm = FakeHandle(reply=[deltas(*["Hello "] * after, HANG)])
    reading = asyncio.create_task(read(stages_over(llm=llm).reply(REQUEST)))
    await asyncio.sleep(0.5)
    began = now()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert now() == began
    assert llm.cancels == [1]


@in_virtual_time
async def test_an_empty_stream_is_a_success() -> None:
    """Nothing to say is no failure, and is not asked for again."""
    llm = FakeHandle(reply=[[]])
    assert await read(stages_over(llm=llm).reply(REQUEST)) == ""
    assert len(llm.requests) == 1


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (RayActorError(), StageLost),
        (ActorDiedError(), StageLost),
        (DeploymentUnavailableError(None), StageLost),  # type: ignore[arg-type]
        (ReplicaUnavailableError("gone"), StageLost),
        (RequestCancelledError("1"), StageLost),
        (BackPressureError(num_queued_requests=1, max_queued_requests=1), StageOverloaded),
        (Overloaded("full"), StageOverloaded),
        (task_error(Overloaded("full")), StageOverloaded),
        (BadInput("no such voice"), StageRefused),
        (task_error(BadInput("no such voice")), StageRefused),
        (ValueError("a bug"), StageFailed),
        (task_error(ValueError("a bug")), StageFailed),
        (task_error(MemoryError("CUDA")), StageFailed),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
@pytest.mark.parametrize("where", ["remote", "item", "unary"])
@in_virtual_time
async def test_the_error_map(raised: Exception, expected: type[StageError], where: str) -> None:
    """What a handle raises, plain (gRPC) or wrapped (Ray's transport), is one of ours."""
    script: Any = raised if where == "remote" else [raised]
    handle = FakeHandle(reply=[script], transcribe=[[raised]])
    stages = stages_over(stt=handle, llm=handle)
    asking = (
        stages.transcriber("call", None).transcribe(b"", 1, final=True)
        if where == "unary"
        else read(stages.reply(REQUEST))
    )
    with pytest.raises(StageError) as caught:
        await asking
    assert type(caught.value) is expected
    assert len(handle.requests) == (1 if expected is StageRefused else 2)


@in_virtual_time
async def test_the_circuit_opens_and_closes() -> None:
    """A stage that keeps failing is left alone for a while, however often it is asked for."""
    llm = FakeHandle(reply=[*[[RayActorError()]] * THRESHOLD, deltas("Hello.")])
    stages = stages_over(llm=llm)
    for _ in range(-(-THRESHOLD // 2)):
        with pytest.raises(StageError):
            await read(stages.reply(REQUEST))
    assert len(llm.requests) == THRESHOLD
    for _ in range(10):
        await asyncio.sleep(COOL_DOWN_S / 11)
        with pytest.raises(StageOverloaded, match="circuit"):
            await read(stages.reply(REQUEST))
    assert len(llm.requests) == THRESHOLD
    await asyncio.sleep(COOL_DOWN_S / 11 + 0.01)
    assert await read(stages.reply(REQUEST)) == "Hello."
    assert await read(stages.reply(REQUEST)) == "Hello."


@pytest.mark.parametrize("answer", [BadInput("no"), Overloaded("full")])
@in_virtual_time
async def test_a_stage_that_answers_is_not_cut_off(answer: Exception) -> None:
    """Refusals and a lack of room say that the stage is there."""
    llm = FakeHandle(reply=[*[[answer]] * 4 * THRESHOLD, deltas("Hello.")])
    stages = stages_over(llm=llm)
    while len(llm.requests) < 4 * THRESHOLD:
        with pytest.raises(StageError):
            await read(stages.reply(REQUEST))
    assert await read(stages.reply(REQUEST)) == "Hello."


@in_virtual_time
async def test_describe_waits_no_longer_than_it_should() -> None:
    """A stage that loads for minutes does not hold one request for minutes."""
    stt = FakeHandle(describe=[[HANG], [StageInfo("echo")]])
    stages = stages_over(stt=stt)
    began = now()
    with pytest.raises(StageTimeout):
        await stages.describe("stt")
    assert now() - began == pytest.approx(DESCRIBE_TIMEOUT_S)
    assert await stages.describe("stt") == StageInfo("echo") == stages.info["stt"]


@pytest.mark.parametrize(
    ("voice", "language", "fault"),
    [
        (None, None, None),
        ("anna", "en-GB", None),
        ("nobody", None, "voice"),
        (None, "fr", "language"),
        (None, "de_AT", "language"),
    ],
)
async def test_voice_and_language_are_checked_against_the_stages(
    voice: str | None, language: str | None, fault: str | None
) -> None:
    """The stages' own lists; a region does not matter, an empty list allows all."""
    stages = stages_over()
    stages.info["tts"] = StageInfo("tts", voices=("anna",), languages=("en", "fr"))
    stages.info["stt"] = StageInfo("stt", languages=("en", "de"))
    if fault is None:
        await stages.check(voice, language)
        return
    with pytest.raises(PeerError, match=f"^{fault}: "):
        await stages.check(voice, language)


async def test_a_stage_without_lists_takes_anything() -> None:
    """An empty list means that anything may be asked for."""
    await stages_over().check("anyone", "xx")


@pytest.mark.parametrize("model", ["whisper", "small.en"])
async def test_a_recogniser_has_two_names(model: str) -> None:
    """Its backend's and its model's; another is not here."""
    stages = stages_over()
    stages.info["stt"] = StageInfo("whisper", details={"model": "small.en"})
    await stages.check(None, None, model)
    with pytest.raises(PeerError, match=r"whisper, small\.en"):
        await stages.check(None, None, "large")
