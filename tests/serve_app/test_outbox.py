"""What is on its way to a client: order, recall, bounds, and clients that are gone."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.conversation import announcements as say
from serve_app.dialects.native import NativeDialect
from serve_app.outbox import LIMIT, ClientGone, Outbox
from tests.fake_socket import FakeSocket
from tests.virtual_time import in_virtual_time

TIMEOUT_S = 3.0


def outbox_to(socket: FakeSocket) -> Outbox:
    """An outbox of a native call."""
    return Outbox(socket, NativeDialect({}), TIMEOUT_S)


def audio(sample: int, reply_id: str = "reply-1") -> say.ReplyAudio:
    """A piece of audio that can be told apart."""
    return say.ReplyAudio(reply_id, 16_000, bytes([sample, 0]))


@in_virtual_time
async def test_announcements_leave_in_order() -> None:
    """Each as the dialect has it: one message, or several."""
    socket = FakeSocket()
    outbox = outbox_to(socket)
    outbox.put(say.SpeechStarted(0))
    outbox.put(say.FinalTranscript("hi", 0, 100))
    outbox.put(audio(1))
    outbox.close()
    await outbox.run()
    assert socket.kinds == ["speech_started", "final", "transcript", "audio"]


@in_virtual_time
async def test_closing_writes_what_waits_and_returns() -> None:
    """Also while `run` waits for more."""
    socket = FakeSocket()
    outbox = outbox_to(socket)
    running = asyncio.create_task(outbox.run())
    await asyncio.sleep(1)
    outbox.put(say.SpeechStarted(0))
    outbox.close()
    await running
    assert socket.kinds == ["speech_started"]


@in_virtual_time
async def test_recalled_audio_is_never_written() -> None:
    """All else is, and so is another reply's audio."""
    socket = FakeSocket()
    outbox = outbox_to(socket)
    outbox.put(audio(1))
    outbox.put(say.ReplyText("reply-1", "Hi"))
    outbox.put(audio(2, "reply-2"))
    outbox.put(audio(3))
    outbox.recall_audio("reply-1")
    outbox.close()
    await outbox.run()
    assert [(m.kind, m.pcm) for m in socket.sent] == [("reply_text", b""), ("audio", b"\2\0")]


@in_virtual_time
async def test_recalling_while_it_writes() -> None:
    """A barge-in comes while a slow client is being written to: what waits is still recalled."""
    socket = FakeSocket()
    socket.send_s = 0.1
    outbox = outbox_to(socket)
    running = asyncio.create_task(outbox.run())
    for sample in (1, 2, 3):
        outbox.put(audio(sample))
    await asyncio.sleep(0.05)
    outbox.recall_audio("reply-1")
    outbox.put(say.ReplyFlushed("reply-1"))
    outbox.close()
    await running
    assert [m.kind for m in socket.sent] == ["audio", "flush"]


@in_virtual_time
async def test_the_queue_is_bounded() -> None:
    """One more than LIMIT, and the client is lost."""
    outbox = outbox_to(FakeSocket())
    for _ in range(LIMIT):
        outbox.put(audio(1))
    with pytest.raises(ClientGone):
        outbox.put(audio(1))


@in_virtual_time
async def test_a_client_that_does_not_read_is_gone_after_the_time_out() -> None:
    """However little is to be sent."""
    socket = FakeSocket()
    socket.blocked = True
    outbox = outbox_to(socket)
    outbox.put(say.SpeechStarted(0))
    began = asyncio.get_running_loop().time()
    with pytest.raises(ClientGone):
        await outbox.run()
    assert asyncio.get_running_loop().time() - began == pytest.approx(TIMEOUT_S)


@pytest.mark.parametrize("error", [RuntimeError("closed"), OSError("reset")])
@in_virtual_time
async def test_a_socket_that_fails_is_a_client_that_is_gone(error: Exception) -> None:
    """Starlette raises RuntimeError, uvicorn's transports OSError."""
    socket = FakeSocket()
    socket.fails_with = error
    outbox = outbox_to(socket)
    outbox.put(say.SpeechStarted(0))
    with pytest.raises(ClientGone):
        await outbox.run()


@in_virtual_time
async def test_a_fault_of_ours_is_not_a_client_that_is_gone() -> None:
    """A bug in a dialect must be seen."""
    socket = FakeSocket()
    socket.fails_with = ZeroDivisionError()
    outbox = outbox_to(socket)
    outbox.put(say.SpeechStarted(0))
    with pytest.raises(ZeroDivisionError):
        await outbox.run()
