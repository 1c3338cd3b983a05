"""One call from a caller's side: what the caller says goes up, what comes down is played."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol

from clients.caller import FRAME_MS, Caller
from clients.events import (
    Audio,
    Event,
    Flush,
    Ready,
    ReplyResumed,
    ReplyStarted,
    Timings,
)
from clients.events import (
    Final as FinalTranscript,
)
from clients.playback import Playback
from clients.progress import Progress
from clients.screen import Screen
from clients.session_table import Measurements
from clients.voice_client import VoiceClient

REPORT_INTERVAL_S: Final = 0.2
"""Time between two `played` reports."""

HANG_UP_TIMEOUT_S: Final = 2.0
"""How long the server may take to close the call after `end`."""


class Loudspeaker(Protocol):
    """Where replies sound. `latency_s`: from `play` to the ear."""

    latency_s: float

    def play(self, pcm: bytes, rate: int) -> None:
        """Queue int16 mono samples at `rate` Hz."""
        ...

    def flush(self) -> None:
        """Drop what is queued."""
        ...


class Silent:
    """No loudspeaker: replies are only kept."""

    latency_s = 0.0

    def play(self, pcm: bytes, rate: int) -> None:
        """Not heard."""

    def flush(self) -> None:
        """Nothing is queued."""


@dataclass
class Session:
    """Runs a call. `playback`, `progress` and `caller` are those that belong together.

    `consent`: the caller agrees that the call is recorded, on each of its connections.
    """

    call: VoiceClient
    caller: Caller
    progress: Progress
    playback: Playback
    screen: Screen
    loudspeaker: Loudspeaker = field(default_factory=Silent)
    consent: bool = False
    clock: Callable[[], float] = time.monotonic
    measured: Measurements = field(default_factory=Measurements)
    _reported: tuple[str, float] = ("", 0.0)
    _report_at: float = 0.0
    _measured_for: float | None = None

    async def run(self) -> None:
        """Until the caller is done. Raises what the caller, the client or the parser raises."""
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listen())
                await self._speak()
                await self._hang_up(listening)
        except ExceptionGroup as group:
            # Both directions of a lost call fail alike: one of them says it.
            raise group.exceptions[0] from None
        finally:
            self.measured.round_trips_ms = list(self.call.round_trips_ms)

    async def _speak(self) -> None:
        async with aclosing(self.caller.frames()) as frames:
            async for frame in frames:
                await self.call.send_audio(frame)
                if self.clock() >= self._report_at:
                    await self._report()

    async def _hang_up(self, listening: asyncio.Task[None]) -> None:
        await self._report()
        await self.call.end()
        await asyncio.wait([listening], timeout=HANG_UP_TIMEOUT_S)
        listening.cancel()

    async def _listen(self) -> None:
        async for event in self.call:
            now = self.clock()
            self.caller.heard_from(now)
            self.progress.handle(event)
            self.screen.show(event)
            await self._follow(event, now)

    async def _follow(self, event: Event, now: float) -> None:
        match event:
            case Ready(recordable=recordable) if self.consent:
                await self._agree(recordable)
            case ReplyStarted(reply_id=reply_id):
                self.playback.start(reply_id)
            case ReplyResumed(reply_id=reply_id, from_ms=from_ms):
                self.playback.resume(reply_id, from_ms)
            case Audio() as audio:
                self._play(audio)
            case Flush(reply_id=reply_id) if reply_id == self.playback.reply_id:
                self.loudspeaker.flush()
                self.playback.flush(now)
                await self._report()
            case FinalTranscript(end_ms=end_ms):
                self._voice_ended(end_ms)
            case Timings() as timings:
                self.measured.timings.append(timings)
            case _:
                pass

    def _voice_ended(self, end_ms: int) -> None:
        began_at = self.call.audio_began_at
        if began_at is not None:
            self.caller.voice_ended(began_at + (end_ms - FRAME_MS) / 1000)

    async def _agree(self, recordable: bool) -> None:
        if recordable:
            await self.call.record(True)
        else:
            self.screen.line("", "(not recorded: this server records no calls)")

    def _play(self, audio: Audio) -> None:
        was_audible = audio.reply_id in self.playback.audible_at
        self.playback.add(audio.pcm, audio.rate, audio.at)
        self.loudspeaker.play(audio.pcm, audio.rate)
        audible_at = self.playback.audible_at.get(audio.reply_id)
        voice_ended_at = self.caller.voice_ended_at
        if was_audible or audible_at is None or voice_ended_at in (None, self._measured_for):
            return
        self._measured_for = voice_ended_at
        self.measured.end_to_end_ms.append((audible_at - voice_ended_at) * 1000)

    async def _report(self) -> None:
        now = self.clock()
        self._report_at = now + REPORT_INTERVAL_S
        played_ms = self.playback.played_ms(now - self.loudspeaker.latency_s)
        report = (self.playback.reply_id, played_ms)
        if report != self._reported and played_ms > 0:
            self._reported = report
            await self.call.played(*report)
