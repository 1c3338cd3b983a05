"""One paced call: speaks its turns in real time, listens, and notes when it heard what.

Speaks the least of the native protocol: PCM16 frames out; audio (`\\x01`), `flush` and `timings`
in. Turns go in pairs: the second interrupts the reply to the first, and is answered in full.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.clip import Clip
from bench.microphone import Microphone, Tape
from bench.plan import lead_samples
from bench.player import Player
from bench.yardstick import Due

AUDIO = 1
POLL_S = 0.04
QUIET_S = 0.5
"""No audio for this long after the last was played: the reply is over."""
NO_REPLY_S = 8.0
ENDLESS_S = 20.0
"""A reply that is not over by then never is."""
HEAR_BEFORE_INTERRUPTING_S = 1.0
PING_EVERY_S = 1.0
SETTLE_S = 1.0


@dataclass(slots=True)
class Turn:
    """What was noted of one turn; times in ms, None where it did not happen.

    first_audio_ms   end of speech → first audible audio
    due_ms           end of speech → the plain rule's end of turn
    flush_ms         the plain rule's interruption → `flush`; last_audio_ms: → last old audio
    stages           what the system itself says of its stages
    """

    alignment: int
    due_ms: float
    first_audio_ms: float | None = None
    underruns: int = 0
    flush_ms: float | None = None
    last_audio_ms: float | None = None
    stages: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(slots=True)
class Call:
    """What was noted of one call. `late_ms`: the caller's own lateness with its frames."""

    turns: list[Turn] = field(default_factory=list[Turn])
    ping_ms: list[float] = field(default_factory=list[float])
    late_ms: list[float] = field(default_factory=list[float])
    seconds: float = 0.0
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """A clip on its way, on the caller's clock: when its speech ends, and the rule decides."""

    alignment: int
    end_at: float
    turn_due_at: float
    interruption_due_at: float


@dataclass(frozen=True, slots=True)
class Script:
    """What all callers speak."""

    clip: Clip
    due: Sequence[Due]

    def lead(self, alignment: int) -> int:
        """Samples from the grid to the clip."""
        return lead_samples(alignment, len(self.due))


class Caller:
    """Makes one call; `call` is complete when `run` returns."""

    def __init__(self, url: str, script: Script, alignments: Sequence[int], wait_s: float) -> None:
        self._url = url
        self._script = script
        self._alignments = alignments
        self._wait_s = wait_s
        self._tape = Tape()
        self._player = Player()
        self._flush_at: float | None = None
        self._stages: dict[str, float] = {}
        self.call = Call()

    async def run(self) -> None:
        """Speak all turns. A call that the server ends is noted as lost."""
        await asyncio.sleep(self._wait_s)
        self._clock = time.perf_counter
        began = self._clock()
        try:
            async with connect(
                self._url, compression=None, ping_interval=None, max_queue=None
            ) as socket:
                await self._converse(socket)
        except* (OSError, ConnectionClosed) as group:
            self.call.lost = str(group.exceptions[0])
        self.call.seconds = self._clock() - began

    async def _converse(self, socket: ClientConnection) -> None:
        self._microphone = Microphone(self._clock())
        async with asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(part) for part in (self._speak(socket), self._listen(socket))
            ]
            others.append(tasks.create_task(self._ping(socket)))
            await asyncio.sleep(SETTLE_S)
            turns = self._alignments
            for first, second in zip(turns[::2], turns[1::2], strict=True):
                await self._pair(first, second)
            for task in others:
                task.cancel()

    async def _speak(self, socket: ClientConnection) -> None:
        while True:
            due = self._microphone.due(self._tape.frames)
            await asyncio.sleep(due - self._clock())
            self.call.late_ms.append((self._clock() - due) * 1000)
            await socket.send(self._tape.read())

    async def _listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            now = self._clock()
            if isinstance(message, bytes):
                if message[0] == AUDIO:
                    rate = struct.unpack_from("<I", message, 1)[0]
                    self._player.take(now, message[5:], rate)
                continue
            event = cast("dict[str, Any]", json.loads(message))
            if event["type"] == "flush" and self._flush_at is None:
                self._flush_at = now
            elif event["type"] == "timings":
                self._stages = {key: value for key, value in event.items() if key.endswith("_ms")}

    async def _ping(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            self.call.ping_ms.append(await (await socket.ping()) * 1000)

    async def _pair(self, first: int, second: int) -> None:
        spoken = self._speak_clip(first)
        self._player, self._stages = Player(), {}
        heard = await self._wait_reply(spoken.end_at, HEAR_BEFORE_INTERRUPTING_S)
        self._note(spoken)
        spoken, self._flush_at = self._speak_clip(second), None
        await asyncio.sleep(spoken.end_at - self._clock())
        old, self._player, self._stages = self._player, Player(), {}
        flush_at = self._flush_at
        await self._wait_reply(spoken.end_at, None)
        turn = self._note(spoken)
        if heard and flush_at is not None:
            turn.flush_ms = (flush_at - spoken.interruption_due_at) * 1000
        if heard and old.last_at is not None:
            turn.last_audio_ms = (old.last_at - spoken.interruption_due_at) * 1000

    def _speak_clip(self, alignment: int) -> Spoken:
        clip, due = self._script.clip, self._script.due[alignment]
        start = self._tape.put(clip.pcm, self._script.lead(alignment))
        return Spoken(
            alignment,
            self._microphone.taken_at(start + clip.speech_end),
            self._microphone.sent_at(start + due.end),
            self._microphone.sent_at(start + due.interrupt),
        )

    def _note(self, spoken: Spoken) -> Turn:
        turn = Turn(spoken.alignment, (spoken.turn_due_at - spoken.end_at) * 1000)
        if self._player.audible_at is not None:
            turn.first_audio_ms = (self._player.audible_at - spoken.end_at) * 1000
        turn.underruns, turn.stages = self._player.underruns, self._stages
        self.call.turns.append(turn)
        return turn

    async def _wait_reply(self, end_at: float, playing_s: float | None) -> bool:
        """Until the reply was heard, or `playing_s` of it was; False where none came."""
        while (now := self._clock()) < end_at + ENDLESS_S:
            audible_at = self._player.audible_at
            if audible_at is None and now > end_at + NO_REPLY_S:
                return False
            spoken = now >= end_at
            if spoken and playing_s is not None and audible_at and now >= audible_at + playing_s:
                return True
            if spoken and self._player.over(now, QUIET_S):
                return playing_s is None
            await asyncio.sleep(POLL_S)
        return False


def spread(call: int, calls: int, over_s: float) -> float:
    """When call number `call` of `calls` begins: evenly over `over_s`, each at its own phase."""
    return over_s * call / calls
