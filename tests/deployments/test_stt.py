"""The recogniser's shell, without Ray: streams, offsets, load, and what a cancellation frees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deployments import stt
from deployments.contracts import (
    BadInput,
    Overloaded,
    SpeechWindow,
    StageInfo,
    StreamLost,
    Transcript,
)
from deployments.stt import STREAM_IDLE_S, THREADS
from tests.deployments.fake_recognisers import (
    BLOCK,
    PATIENCE_S,
    Gate,
    Replica,
    Streams,
    Windows,
    serving,
)


@pytest.fixture
def gate() -> Gate:
    """Shut."""
    return Gate()


@pytest.fixture
async def windows(gate: Gate) -> AsyncIterator[Any]:
    """A replica of a recogniser without state."""
    async with serving(Windows(gate), gate) as replica:
        yield replica


@pytest.fixture
def backend(gate: Gate) -> Streams:
    """What `streams` serves."""
    return Streams(gate)


@pytest.fixture
async def streams(backend: Streams, gate: Gate) -> AsyncIterator[Any]:
    """A replica of a recogniser with state."""
    async with serving(backend, gate) as replica:
        yield replica


def piece(pcm: bytes, offset: int = 0, *, final: bool = False, stream: str = "a") -> SpeechWindow:
    """More of a stream."""
    return SpeechWindow(pcm, final, None, stream, offset)


async def eventually(backend: Streams, expected: list[int]) -> None:
    """Until each recogniser was closed that often: what a thread's callback does soon."""
    async with asyncio.timeout(PATIENCE_S):
        while backend.closes != expected:
            await asyncio.to_thread(backend.closed.acquire, timeout=PATIENCE_S)


async def test_a_window_is_transcribed(windows: Any) -> None:
    """Alone, as it is."""
    assert await windows.transcribe(SpeechWindow(b"1234", True)) == Transcript("4 bytes")
    assert await windows.describe() == StageInfo("windows")


async def test_what_the_backend_refuses(windows: Any, streams: Any) -> None:
    """BadInput reaches the caller as it is."""
    for replica in (windows, streams):
        with pytest.raises(BadInput):
            await replica.transcribe(SpeechWindow(b"1234", True, "xx"))


async def test_under_load_partials_are_refused_and_finals_wait(windows: Any, gate: Gate) -> None:
    """All threads busy: a partial is Overloaded, a final is transcribed when there is room."""
    busy = [
        asyncio.create_task(windows.transcribe(SpeechWindow(BLOCK, True))) for _ in range(THREADS)
    ]
    await gate.entered(THREADS)
    final = asyncio.create_task(windows.transcribe(SpeechWindow(b"12", True)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await windows.transcribe(SpeechWindow(b"12", False))
    assert not final.done()
    gate.open()
    assert (await final).text == "2 bytes"
    await asyncio.gather(*busy)
    assert (await windows.transcribe(SpeechWindow(b"12", False))).text == "2 bytes"


async def test_cancelled_windows_give_their_room_back(windows: Any, gate: Gate) -> None:
    """Callers who hung up do not count as load for ever."""
    for _ in range(2 * THREADS):
        task = asyncio.create_task(windows.transcribe(SpeechWindow(BLOCK, True)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    gate.open()
    assert (await windows.transcribe(SpeechWindow(b"12", False))).text == "2 bytes"


async def test_a_stream_continues_where_it_was(streams: Any, backend: Streams) -> None:
    """Piece by piece into one recogniser, which the final ends and frees."""
    assert (await streams.transcribe(piece(b"ab"))).text == "ab"
    assert (await streams.transcribe(piece(b"cdef", 1))).text == "abcdef"
    assert (await streams.transcribe(piece(b"gh", 3, final=True))).text == "abcdefgh."
    assert backend.closes == [1]
    with pytest.raises(StreamLost):
        await streams.transcribe(piece(b"ij", 4))


async def test_a_final_may_add_nothing(streams: Any) -> None:
    """The pause was fed already."""
    await streams.transcribe(piece(b"ab"))
    assert (await streams.transcribe(piece(b"", 1, final=True))).text == "ab."


async def test_streams_do_not_mix(streams: Any, backend: Streams) -> None:
    """Each caller has a recogniser of their own."""
    await streams.transcribe(piece(b"ab", stream="one"))
    await streams.transcribe(piece(b"xy", stream="two"))
    assert (await streams.transcribe(piece(b"cd", 1, stream="one"))).text == "abcd"
    assert (await streams.transcribe(piece(b"z!", 1, stream="two"))).text == "xyz!"
    assert backend.closes == [0, 0]


@pytest.mark.parametrize("offset", [1, 3])
async def test_a_wrong_offset_is_a_lost_stream(streams: Any, offset: int) -> None:
    """Audio is missing, or would be decoded twice; from 0 the stream can begin again."""
    await streams.transcribe(piece(b"abcd"))
    with pytest.raises(StreamLost):
        await streams.transcribe(piece(b"ef", offset))
    assert (await streams.transcribe(piece(b"abcdef", final=True))).text == "abcdef."


async def test_an_unknown_stream_is_lost(streams: Any) -> None:
    """Another replica had it."""
    with pytest.raises(StreamLost):
        await streams.transcribe(piece(b"ab", 1))


async def test_a_stream_that_begins_again_frees_the_old_one(streams: Any, backend: Streams) -> None:
    """A replay takes a fresh recogniser."""
    await streams.transcribe(piece(b"ab"))
    assert (await streams.transcribe(piece(b"xy"))).text == "xy"
    assert backend.closes == [1, 0]


async def test_a_stream_that_begins_again_needs_no_second_recogniser(
    streams: Any, backend: Streams
) -> None:
    """Where there are as many as callers, none is spare."""
    backend.room = 1
    await streams.transcribe(piece(b"old"))
    assert await streams.transcribe(piece(b"new")) == Transcript("new")
    with pytest.raises(Overloaded):
        await streams.transcribe(piece(b"other", stream="b"))


async def test_a_replay_does_not_free_what_a_thread_still_uses(
    streams: Any, backend: Streams, gate: Gate
) -> None:
    """The caller timed out and sends the turn again while its first decode still runs."""
    first = asyncio.create_task(streams.transcribe(piece(BLOCK)))
    await gate.entered()
    assert (await streams.transcribe(piece(b"xy"))).text == "xy"
    assert backend.closes == [0, 0]
    gate.open()
    assert (await first).text == BLOCK.decode()
    await eventually(backend, [1, 0])
    assert not backend.opened[0].closed_while_busy
    assert (await streams.transcribe(piece(b"z!", 1, final=True))).text == "xyz!."
    assert backend.closes == [1, 1]


async def test_pieces_of_one_stream_take_turns(streams: Any, gate: Gate) -> None:
    """The final arrives while the partial before it is decoded: one after the other."""
    partial = asyncio.create_task(streams.transcribe(piece(BLOCK)))
    await gate.entered()
    final = asyncio.create_task(streams.transcribe(piece(b"ab", len(BLOCK) // 2, final=True)))
    await asyncio.sleep(0)
    gate.open()
    assert (await partial).text == BLOCK.decode()
    assert (await final).text == f"{BLOCK.decode()}ab."


async def test_a_cancelled_transcription_frees_its_recogniser_once(
    streams: Any, backend: Streams, gate: Gate
) -> None:
    """After the thread is done with it, not before; the stream is lost."""
    task = asyncio.create_task(streams.transcribe(piece(BLOCK)))
    await gate.entered()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert backend.closes == [0]
    with pytest.raises(StreamLost):
        await streams.transcribe(piece(b"ab", len(BLOCK) // 2))
    gate.open()
    await eventually(backend, [1])
    assert not backend.opened[0].closed_while_busy


async def test_a_recogniser_that_opens_for_nobody_is_freed(
    streams: Any, backend: Streams, gate: Gate
) -> None:
    """The caller hung up while it was being made."""
    backend.slow_open = True
    task = asyncio.create_task(streams.transcribe(piece(b"ab")))
    await gate.entered()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    await eventually(backend, [1])


async def test_two_beginnings_at_once_leave_one_stream(
    streams: Any, backend: Streams, gate: Gate
) -> None:
    """The later one is the stream; the other is freed."""
    backend.slow_open = True
    tasks = [asyncio.create_task(streams.transcribe(piece(text))) for text in (b"ab", b"xy")]
    await gate.entered(2)
    gate.open()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} <= {Transcript, StreamLost}
    last = await streams.transcribe(piece(b"", 1, final=True))
    assert last.text in ("ab.", "xy.")
    await eventually(backend, [1, 1])


async def test_streams_that_are_fed_no_more_are_dropped(
    streams: Any, backend: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next stream to begin clears away those whose callers are gone."""
    clock = [100.0]
    monkeypatch.setattr(stt.time, "monotonic", lambda: clock[0])
    await streams.transcribe(piece(b"ab", stream="gone"))
    clock[0] += STREAM_IDLE_S - 1
    await streams.transcribe(piece(b"ab", stream="quiet"))
    assert backend.closes == [0, 0]
    clock[0] += 2
    await streams.transcribe(piece(b"ab", stream="new"))
    assert backend.closes == [1, 0, 0]
    assert (await streams.transcribe(piece(b"cd", 1, stream="quiet"))).text == "abcd"


async def test_a_window_without_a_stream_keeps_nothing(streams: Any, backend: Streams) -> None:
    """A whole file, say: its recogniser is freed at once, final or not."""
    windows = [SpeechWindow(b"ab", final=False), SpeechWindow(b"ab", final=True)]
    for window in windows:
        await streams.transcribe(window)
    assert backend.closes == [1, 1]


async def test_a_stream_at_work_is_not_idle(
    streams: Any, backend: Streams, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long its decode takes."""
    clock = [100.0]
    monkeypatch.setattr(stt.time, "monotonic", lambda: clock[0])
    slow = asyncio.create_task(streams.transcribe(piece(BLOCK, stream="slow")))
    await gate.entered()
    clock[0] += STREAM_IDLE_S + 1
    await streams.transcribe(piece(b"ab", stream="new"))
    gate.open()
    await slow
    more = piece(b"cd", len(BLOCK) // 2, stream="slow")
    assert (await streams.transcribe(more)).text == f"{BLOCK.decode()}cd"
    assert backend.closes == [0, 0]


async def test_a_replica_that_goes_closes_its_backend(gate: Gate) -> None:
    """Serve calls `__del__`; one that never loaded has nothing to free."""
    backend = Windows(gate)
    async with serving(backend, gate):
        assert not backend.closed
    assert backend.closed
    Replica.__new__(Replica).__del__()


@pytest.fixture
async def batching(gate: Gate) -> AsyncIterator[tuple[Any, Windows]]:
    """A replica of a recogniser that takes eight finals at once."""
    backend = Windows(gate, batch=8)
    async with serving(backend, gate) as replica:
        yield replica, backend


async def test_finals_that_come_during_a_decode_are_decoded_together(
    batching: tuple[Any, Windows], gate: Gate
) -> None:
    """In one call; a partial is not held up by it, and joins none."""
    replica, backend = batching
    first = asyncio.create_task(replica.transcribe(SpeechWindow(BLOCK, True)))
    await gate.entered()
    rest = [
        asyncio.create_task(replica.transcribe(SpeechWindow(bytes(2 * n), True)))
        for n in range(1, 4)
    ]
    assert (await replica.transcribe(SpeechWindow(b"1234", False))).text == "4 bytes"
    gate.open()
    assert [(await task).text for task in rest] == ["2 bytes", "4 bytes", "6 bytes"]
    await first
    assert backend.calls == [1, 1, 3]


async def test_a_final_that_is_refused_does_not_fail_those_beside_it(
    batching: tuple[Any, Windows], gate: Gate
) -> None:
    """BadInput is for the caller who sent it."""
    replica, _ = batching
    first = asyncio.create_task(replica.transcribe(SpeechWindow(BLOCK, True)))
    await gate.entered()
    bad = asyncio.create_task(replica.transcribe(SpeechWindow(b"12", True, "xx")))
    good = asyncio.create_task(replica.transcribe(SpeechWindow(b"12", True)))
    await asyncio.sleep(0)
    gate.open()
    assert (await good).text == "2 bytes"
    with pytest.raises(BadInput):
        await bad
    await first
