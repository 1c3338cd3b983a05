"""Whole calls against a scripted server, at the speed of the machine."""

from __future__ import annotations

import io
from array import array
from dataclasses import dataclass, field

import pytest

from clients.caller import NoAnswer, RecordedCaller, Turn
from clients.opus import OpusDecoder, OpusEncoder
from clients.playback import Playback
from clients.progress import Progress
from clients.screen import Screen
from clients.session import Session
from clients.voice_client import CallLost, Codec, VoiceClient
from clients.wire import BadMessage
from serve_app.conversation import announcements as said
from serve_app.conversation.events import (
    AudioReceived,
    HangUp,
    PlaybackReported,
    RecordingAnswered,
)
from tests.clients.fake_time import FakeTime
from tests.clients.scripted_server import Peer, Script, serve

_RATE = 16_000


def _voice(ms: int, rate: int = _RATE, level: int = 9000) -> bytes:
    return array("h", [level] * (rate * ms // 1000)).tobytes()


@dataclass
class _Speaker:
    """A loudspeaker that keeps what it was given."""

    latency_s: float = 0.0
    queued: bytes = b""
    rates: set[int] = field(default_factory=set[int])
    flushes: list[int] = field(default_factory=list[int])

    def play(self, pcm: bytes, rate: int) -> None:
        self.rates.add(rate)
        self.queued += pcm

    def flush(self) -> None:
        self.flushes.append(len(self.queued))


@dataclass
class _Result:
    session: Session
    speaker: _Speaker
    screen: str
    failure: BaseException | None


async def _talk(
    script: Script,
    *turns: Turn,
    codec: Codec = "pcm16",
    reply: Codec = "pcm16",
    consent: bool = False,
    patience_s: float = 5.0,
) -> _Result:
    time, progress, playback, out = FakeTime(), Progress(), Playback(), io.StringIO()
    speaker = _Speaker()
    caller = RecordedCaller(
        turns or [Turn("q", _voice(100))],
        _RATE,
        progress,
        playback,
        patience_s=patience_s,
        on_turn=lambda _turn: None,
        clock=time.clock,
        sleep=time.sleep,
    )
    async with (
        serve(script) as url,
        VoiceClient.connect(url, codec=codec, reply=reply, clock=time.clock) as call,
    ):
        session = Session(
            call, caller, progress, playback, Screen(out), speaker, consent, time.clock
        )
        failure: BaseException | None = None
        try:
            await session.run()
        except (CallLost, NoAnswer, BadMessage) as error:
            failure = error
    return _Result(session, speaker, out.getvalue(), failure)


async def _hear_a_turn(peer: Peer, frames: int = 8) -> None:
    for _ in range(frames):
        await peer.hear(AudioReceived)
    await peer.say(said.SpeechStarted(0), said.SpeechStopped(100))
    await peer.say(said.FinalTranscript("hello", 0, 100))


async def _answer(peer: Peer, reply_id: str) -> None:
    await peer.say(said.ReplyStarted(reply_id), said.ReplyText(reply_id, "Well."))
    await peer.say(said.ReplyAudio(reply_id, _RATE, bytes(640) + _voice(80)))
    await peer.say(said.TurnTimings(reply_id, 200, 40, 2, 10, 20))
    await peer.say(said.ReplyDone(reply_id, "completed", "Well."))


async def test_two_turns_of_one_call():
    """Both are heard whole, answered, measured; the call is hung up in good order."""
    reports: list[PlaybackReported] = []

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        for reply_id in ("r1", "r2"):
            await _hear_a_turn(peer)
            await _answer(peer, reply_id)
            reports.append(await peer.hear(PlaybackReported))
            while reports[-1].played_ms < 100:
                reports.append(await peer.hear(PlaybackReported))
        await peer.hear(HangUp)
        assert b"".join(peer.audio).count(_voice(100)) == 2

    result = await _talk(script, Turn("one", _voice(100)), Turn("two", _voice(100)))
    assert result.failure is None
    measured = result.session.measured
    assert [one.reply_id for one in measured.timings] == ["r1", "r2"]
    assert len(measured.end_to_end_ms) == 2
    assert all(20 <= value < 5000 for value in measured.end_to_end_ms)
    assert measured.round_trips_ms
    assert {report.reply_id for report in reports} == {"r1", "r2"}
    assert result.speaker.queued == (bytes(640) + _voice(80)) * 2
    played = result.session.playback.played(1e9)
    assert [one.reply_id for one in played] == ["r1", "r2"]
    assert result.screen.count("you         hello\nagent       Well.\n") == 2


async def test_opus_both_ways():
    """The server can decode what is sent, and what it sends is played at 48 kHz."""
    decoded: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        await _hear_a_turn(peer)
        decoder = OpusDecoder()
        decoded.extend(decoder.decode(packet) for packet in peer.audio)
        await peer.say(said.ReplyStarted("r1"))
        for packet in OpusEncoder(24_000).encode(_voice(60, 24_000)):
            await peer.say(said.ReplyAudio("r1", 24_000, packet))
        await peer.say(said.ReplyDone("r1", "completed", ""))
        await peer.hear(HangUp)

    result = await _talk(script, codec="opus", reply="opus")
    assert result.failure is None
    assert {len(pcm) for pcm in decoded} == {960 * 2}
    played = result.session.playback.played(1e9)
    assert sum(len(one.pcm) // 2 for one in played) == 48 * 60
    assert {one.rate for one in played} == result.speaker.rates == {48_000}


async def test_an_interruption():
    """Flushed audio is not played, what was played is reported, a resumed reply goes on."""
    flushed: list[PlaybackReported] = []

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        await _hear_a_turn(peer)
        await peer.say(said.ReplyStarted("r1"), said.ReplyAudio("r1", _RATE, _voice(1000)))
        await peer.hear(PlaybackReported)
        await peer.say(said.ReplyFlushed("r0"), said.ReplyFlushed("r1"))
        flushed.append(await peer.hear(PlaybackReported))
        await peer.say(said.ReplyResumed("r1", round(flushed[0].played_ms)))
        await peer.say(said.ReplyAudio("r1", _RATE, _voice(100)))
        await peer.say(said.ReplyDone("r1", "completed", ""))
        await peer.hear(HangUp)

    result = await _talk(script)
    assert result.failure is None
    (report,) = flushed
    assert 0 < report.played_ms < 1000
    seconds = sum(one.seconds for one in result.session.playback.played(1e9))
    assert seconds * 1000 == pytest.approx(report.played_ms + 100, abs=2)
    assert result.speaker.flushes == [len(_voice(1000))]
    assert result.session.playback.underruns == 0
    assert "(stops)" in result.screen


async def test_a_caller_who_agrees_to_be_recorded():
    """It is said once the call is open, again where the connection was made anew, and shown."""
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await peer.say(said.CallReady("c1", None, None, "token", 60.0, recordable=True))
        assert (await peer.hear(RecordingAnswered)).given
        if connections == 1:
            await peer.socket.close(1012)
            return
        await peer.say(said.RecordingChanged(True, 30.0))
        await _hear_a_turn(peer)
        await _answer(peer, "r1")
        await peer.hear(HangUp)

    # A new connection takes real time, in which the caller's clock runs far ahead.
    result = await _talk(script, consent=True, patience_s=1e9)
    assert result.failure is None
    assert connections == 2
    assert "(recorded from now on, kept for 30 days)" in result.screen


async def test_a_server_that_records_no_calls():
    """It is not asked; the caller is told, and the call goes on."""

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        await _hear_a_turn(peer)
        await _answer(peer, "r1")
        await peer.hear(HangUp)

    result = await _talk(script, consent=True)
    assert result.failure is None
    assert "(not recorded: this server records no calls)" in result.screen


async def test_a_call_lost_in_the_middle_of_a_reply():
    """The failure is CallLost itself; what had been played is still there."""

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        await _hear_a_turn(peer)
        await peer.say(said.ReplyStarted("r1"), said.ReplyAudio("r1", _RATE, _voice(100)))
        await peer.hear(PlaybackReported)
        await peer.socket.close(1011, "fault")

    result = await _talk(script)
    assert isinstance(result.failure, CallLost)
    assert result.failure.close_code == 1011
    assert result.session.playback.played(1e9)


async def test_a_server_that_hangs_up_first():
    """A normal close before the answer is a lost call too."""

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        await _hear_a_turn(peer)

    assert isinstance((await _talk(script)).failure, CallLost)


async def test_no_answer():
    """The turn was said, nothing came back: an error that names the turn."""

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        await peer.hear(HangUp)

    result = await _talk(script)
    assert isinstance(result.failure, NoAnswer)
    assert str(result.failure) == "no answer to q within 5 s"


async def test_a_server_that_talks_nonsense():
    """BadMessage ends the call."""

    async def script(peer: Peer) -> None:
        await peer.socket.send("{")
        await peer.socket.wait_closed()

    assert isinstance((await _talk(script)).failure, BadMessage)
