"""Transcripts over scripted handles: windows, streams, what is replayed and what is not."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from ray.exceptions import RayActorError

from deployments.contracts import BadInput, Overloaded, StageInfo, StreamLost, Transcript
from serve_app.errors import StageError, StageRefused, StageTimeout
from serve_app.settings import StageSettings
from serve_app.stages import OFFLINE_S, RayStages, Transcriber
from tests.fake_handles import FakeHandle, task_error
from tests.fakes import HANG
from tests.virtual_time import in_virtual_time

FIRST_S = 2.0


def transcriber(stt: FakeHandle, *, incremental: bool = False) -> Transcriber:
    """A call's transcriber over a handle."""
    return stages_over(stt, incremental=incremental).transcriber("call", "en")


def stages_over(stt: FakeHandle, *, incremental: bool = False) -> RayStages:
    """Stages with a recogniser alone."""
    settings = StageSettings(backend="any", first_s=FIRST_S)
    unused = cast(Any, FakeHandle())
    stages = RayStages((cast(Any, stt), settings), (unused, settings), (unused, settings))
    stages.info["stt"] = StageInfo("scripted", incremental=incremental)
    return stages


@in_virtual_time
async def test_a_window_stands_alone() -> None:
    """Whole windows, one call each."""
    stt = FakeHandle(transcribe=[[Transcript("one")], [Transcript("two")]])
    ear = transcriber(stt)
    assert (await ear.transcribe(b"1234", 1, final=False)).text == "one"
    assert (await ear.transcribe(b"123456", 1, final=True)).text == "two"
    windows = [(w.pcm, w.final, w.language, w.stream, w.offset) for w in stt.requests]
    assert windows == [(b"1234", False, "en", None, 0), (b"123456", True, "en", None, 0)]
    assert stt.cancels == [1, 1]


@pytest.mark.parametrize("incremental", [False, True])
@in_virtual_time
async def test_a_final_is_asked_for_again_and_a_partial_is_not(incremental: bool) -> None:
    """A late partial is worth nothing."""
    stt = FakeHandle(transcribe=[[RayActorError()], [RayActorError()], [Transcript("two")]])
    ear = transcriber(stt, incremental=incremental)
    with pytest.raises(StageError):
        await ear.transcribe(b"1234", 1, final=False)
    assert len(stt.requests) == 1
    assert (await ear.transcribe(b"123456", 1, final=True)).text == "two"
    assert len(stt.requests) == 3
    assert stt.cancels == [1, 1, 1]


@in_virtual_time
async def test_a_transcript_that_hangs() -> None:
    """A final: two time-outs, both cancelled."""
    stt = FakeHandle(transcribe=[[HANG]])
    began = asyncio.get_running_loop().time()
    with pytest.raises(StageTimeout):
        await transcriber(stt).transcribe(b"1234", 1, final=True)
    assert asyncio.get_running_loop().time() - began == pytest.approx(2 * FIRST_S)
    assert stt.cancels == [1, 1]


@in_virtual_time
async def test_cancelling_a_transcription_cancels_the_request() -> None:
    """The caller hung up."""
    stt = FakeHandle(transcribe=[[HANG]])
    task = asyncio.create_task(transcriber(stt).transcribe(b"1234", 1, final=True))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stt.cancels == [1]


def sent(stt: FakeHandle) -> list[tuple[bytes, str | None, int]]:
    """What was sent of a stream: samples, stream, offset."""
    return [(w.pcm, w.stream, w.offset) for w in stt.requests]


@in_virtual_time
async def test_a_stream_is_sent_piece_by_piece() -> None:
    """Only new samples travel; a new turn is a new stream."""
    stt = FakeHandle(transcribe=[[Transcript("")]])
    ear = transcriber(stt, incremental=True)
    await ear.transcribe(b"1234", 1, final=False)
    await ear.transcribe(b"12345678", 1, final=False)
    await ear.transcribe(b"1234567890", 1, final=True)
    await ear.transcribe(b"ab", 2, final=True)
    assert sent(stt) == [
        (b"1234", "call/1", 0),
        (b"5678", "call/1", 2),
        (b"90", "call/1", 4),
        (b"ab", "call/2", 0),
    ]


@in_virtual_time
async def test_a_lost_stream_is_replayed_for_the_final() -> None:
    """The whole turn goes out again, from offset 0."""
    stt = FakeHandle(
        transcribe=[[Transcript("")], [task_error(StreamLost("call/1"))], [Transcript("all")]]
    )
    ear = transcriber(stt, incremental=True)
    await ear.transcribe(b"1234", 1, final=False)
    assert (await ear.transcribe(b"123456", 1, final=True)).text == "all"
    assert sent(stt)[1:] == [(b"56", "call/1", 2), (b"123456", "call/1", 0)]


@in_virtual_time
async def test_a_lost_stream_begins_anew_with_the_next_partial() -> None:
    """The partial that found it lost is given up; the one after it sends the turn so far."""
    stt = FakeHandle(transcribe=[[Transcript("")], [StreamLost("call/1")], [Transcript("all")]])
    ear = transcriber(stt, incremental=True)
    await ear.transcribe(b"1234", 1, final=False)
    with pytest.raises(StageError):
        await ear.transcribe(b"123456", 1, final=False)
    assert (await ear.transcribe(b"12345678", 1, final=False)).text == "all"
    assert sent(stt)[2] == (b"12345678", "call/1", 0)


@in_virtual_time
async def test_a_partial_without_room_is_sent_with_the_next() -> None:
    """Overloaded means that nothing was taken in: the stream goes on where it was."""
    stt = FakeHandle(transcribe=[[Transcript("")], [Overloaded("full")], [Transcript("all")]])
    ear = transcriber(stt, incremental=True)
    await ear.transcribe(b"12", 1, final=False)
    with pytest.raises(StageError):
        await ear.transcribe(b"1234", 1, final=False)
    assert (await ear.transcribe(b"123456", 1, final=True)).text == "all"
    assert sent(stt)[2] == (b"3456", "call/1", 1)


@in_virtual_time
async def test_a_refused_stream_is_refused_for_good() -> None:
    """A language the recogniser lacks: replaying would not help."""
    stt = FakeHandle(transcribe=[[BadInput("no Klingon")]])
    with pytest.raises(StageRefused):
        await transcriber(stt, incremental=True).transcribe(b"1234", 1, final=True)
    assert len(stt.requests) == 1


@in_virtual_time
async def test_a_window_of_a_file_has_time() -> None:
    """Nobody waits for it; it is asked for twice, as a caller's."""
    stt = FakeHandle(transcribe=[[RayActorError()], [FIRST_S * 4, Transcript("late")]])
    assert (await stages_over(stt).transcribe(b"1234", "en")).text == "late"
    assert [(w.final, w.stream) for w in stt.requests] == [(True, None)] * 2
    with pytest.raises(StageTimeout):
        await stages_over(FakeHandle(transcribe=[[OFFLINE_S + 1]])).transcribe(b"1234", "en")


@in_virtual_time
async def test_a_window_of_a_file_is_translated() -> None:
    """The recogniser is told what to do with it."""
    stt = FakeHandle(transcribe=[[Transcript("late")]])
    await stages_over(stt).transcribe(b"1234", None, "translate")
    assert [window.task for window in stt.requests] == ["translate"]


@in_virtual_time
async def test_a_recogniser_with_state_hears_a_file_as_it_hears_callers() -> None:
    """Half a second at a time, in a stream of its own."""
    stt = FakeHandle(transcribe=[[Transcript("all")]])
    stages = stages_over(stt, incremental=True)
    pcm = bytes(40_000)
    for _ in range(2):
        assert (await stages.transcribe(pcm, "en")).text == "all"
    first, second = stt.requests[:3], stt.requests[3:]
    for windows in (first, second):
        assert [(len(w.pcm), w.offset, w.final) for w in windows] == [
            (16_000, 0, False),
            (16_000, 8_000, False),
            (8_000, 16_000, True),
        ]
    assert first[0].stream != second[0].stream
