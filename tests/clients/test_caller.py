"""A caller who speaks recordings in real time."""

from __future__ import annotations

from array import array

import pytest

from clients.caller import NoAnswer, RecordedCaller, Turn
from clients.events import (
    Event,
    Final,
    Ready,
    ReplyDone,
    ReplyStarted,
    ServerError,
    SpeechStopped,
)
from clients.playback import Playback
from clients.progress import Progress
from tests.clients.fake_time import FakeTime

_RATE = 8000
_FRAME = 160 * 2
_READY = Ready("c", None, None, "opus", None, "pcm16")


def _voice(ms: int) -> bytes:
    return array("h", [9000] * (_RATE * ms // 1000)).tobytes()


class _Call:
    """A caller with its surroundings, driven by hand."""

    def __init__(self, *turns: Turn, patience_s: float = 5.0) -> None:
        self.time = FakeTime()
        self.progress = Progress()
        self.playback = Playback()
        self.began: list[str] = []
        self.caller = RecordedCaller(
            turns,
            _RATE,
            self.progress,
            self.playback,
            patience_s=patience_s,
            on_turn=lambda turn: self.began.append(turn.name),
            clock=self.time.clock,
            sleep=self.time.sleep,
        )
        self.frames = self.caller.frames()

    def say(self, *events: Event) -> None:
        for event in events:
            self.caller.heard_from(self.time.now)
            self.progress.handle(event)

    def answer(self) -> None:
        self.say(SpeechStopped(0), Final("so", 0, 0), ReplyStarted("r"))
        self.say(ReplyDone("r", "completed", "so"))

    async def send(self, count: int) -> list[bytes]:
        return [await anext(self.frames) for _ in range(count)]


async def test_frames_go_out_in_real_time():
    """One every 20 ms on a fixed grid: a late one does not delay the rest."""
    call = _Call(Turn("q", _voice(200)))
    call.say(_READY)
    sent_at: list[float] = []
    for index in range(8):
        await anext(call.frames)
        sent_at.append(round(call.time.now - 100, 3))
        if index == 3:
            call.time.now += 0.05
    assert sent_at == [0.0, 0.02, 0.04, 0.06, 0.11, 0.11, 0.12, 0.14]


async def test_nothing_is_said_before_the_call_is_open():
    """Silence until `ready`, then the recording, its last frame filled up, then silence."""
    call = _Call(Turn("q", _voice(50)))
    assert await call.send(3) == [bytes(_FRAME)] * 3
    assert call.began == []
    call.say(_READY)
    frames = await call.send(5)
    assert b"".join(frames) == _voice(50) + bytes(_FRAME * 5 - len(_voice(50)))
    assert call.began == ["q"]


async def test_the_end_of_the_voice_is_noted():
    """When the frame with the last voiced sample has been sent, not when the file ends."""
    call = _Call(Turn("q", _voice(100) + bytes(_FRAME * 10)))
    call.say(_READY)
    await call.send(5)
    assert call.caller.voice_ended_at is None
    await call.send(1)
    assert call.caller.voice_ended_at == pytest.approx(100.08)
    call.caller.voice_ended(7)
    assert call.caller.voice_ended_at == pytest.approx(100.08)


async def test_the_next_turn_waits_for_the_answer_to_be_heard():
    """Not only said: played to its end."""
    call = _Call(Turn("one", _voice(40)), Turn("two", _voice(40)))
    call.say(_READY)
    await call.send(10)
    call.playback.add(_voice(100), _RATE, call.time.now)
    call.answer()
    assert await call.send(4) == [bytes(_FRAME)] * 4
    assert call.began == ["one"]
    await call.send(3)
    assert call.began == ["one", "two"]


async def test_the_call_ends_after_the_last_answer():
    """No frame is sent after it."""
    call = _Call(Turn("q", _voice(40)))
    call.say(_READY)
    await call.send(3)
    call.answer()
    with pytest.raises(StopAsyncIteration):
        await anext(call.frames)


async def _until_no_answer(call: _Call) -> NoAnswer:
    with pytest.raises(NoAnswer) as caught:
        await call.send(10_000)
    return caught.value


async def test_a_server_that_never_opens_the_call():
    """Patience ends."""
    call = _Call(Turn("q", _voice(40)))
    assert "not opened within 5 s" in str(await _until_no_answer(call))
    assert call.time.now == pytest.approx(105, abs=0.05)


async def test_a_server_that_never_answers():
    """Patience begins when the turn has been said, and anew with everything that is heard."""
    call = _Call(Turn("q", _voice(10_000)))
    call.say(_READY)
    await call.send(600)
    call.say(ReplyStarted("r"))
    assert str(await _until_no_answer(call)) == "no answer to q within 5 s"
    assert call.time.now == pytest.approx(112 + 5, abs=0.1)


async def test_an_error_instead_of_an_answer():
    """The server's own sentence is what is raised."""
    call = _Call(Turn("q", _voice(40)))
    call.say(_READY)
    await call.send(3)
    call.say(ServerError("stage_timeout", "The recogniser did not answer."))
    assert str(await _until_no_answer(call)) == "The recogniser did not answer."


async def test_a_failed_reply():
    """It ends the call with the turn's name."""
    call = _Call(Turn("q", _voice(40)), Turn("never", _voice(40)))
    call.say(_READY)
    await call.send(3)
    call.say(ReplyStarted("r"), ReplyDone("r", "failed", ""))
    assert str(await _until_no_answer(call)) == "q: the reply failed"
    assert call.began == ["q"]
