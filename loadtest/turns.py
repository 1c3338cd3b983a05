"""What a caller does in an open call: says, types, interrupts, and hears the answers out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from clients.voice_client import VoiceClient
from loadtest.clips import Clips
from loadtest.hearing import Hearing, Reply
from loadtest.marks import Marks
from loadtest.microphone import Microphone
from loadtest.news import News
from loadtest.records import BargeIn, TurnEnded
from loadtest.reporter import Reporter

NO_REPLY_S: Final = 10.0
ENDLESS_S: Final = 40.0
NO_FLUSH_S: Final = 3.0
HEARD_BEFORE_S: Final = 0.8
"""So much of a reply is heard before the caller speaks over it, or hangs up."""


@dataclass(slots=True)
class Turns:
    """Of one call. `timed`: the server answers with what was said. Times in s of `clock`.

    Whoever opens a connection sets `client` and `microphone`; whoever listens calls `heard`.
    """

    hearing: Hearing
    marks: Marks
    clips: Clips
    reporter: Reporter
    timed: bool
    clock: Callable[[], float]
    client: VoiceClient = field(init=False)
    microphone: Microphone = field(init=False)
    _news: News = field(default_factory=News)

    def heard(self) -> None:
        """Something came from the server."""
        self._news.tell()

    async def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Wait for what the server sends to make it so; False: it did not in that time."""
        return await self._news.until(holds, within_s)

    async def type(self) -> None:
        """Type the caller's word, and hear the answer."""
        self.hearing.begin_turn()
        asked_at = self.clock()
        await self.client.send_text(f"my word is {self.marks.word}")
        reply = await self._hear_out("typed", asked_at)
        if self.timed and reply is not None and self.marks.word not in reply.text:
            self.reporter.fail("wrong answer", f"without the caller's word: {reply.text[:60]}")

    async def speak(self, sentence: int) -> None:
        """Say something, and hear the answer."""
        reply = await self._hear_out("spoken", await self._say(sentence))
        if self.timed and reply is not None and str(self.marks.tone_hz) not in reply.text:
            self.reporter.fail("misheard", f"without the caller's tone: {reply.text[:60]}")

    async def interrupt(self, sentence: int) -> None:
        """Say something, speak over the answer, and hear the answer to that."""
        asked_at = await self._say(sentence)
        reply = await self._answer("interrupted", asked_at)
        if reply is None:
            return
        await asyncio.sleep(HEARD_BEFORE_S)
        began_at, ends_at = self._put((sentence + 1) % len(self.clips))
        await self.until(lambda: reply.flush_at is not None, NO_FLUSH_S)
        if reply.flush_at is not None:
            self.reporter.tell(BargeIn, (reply.flush_at - began_at) * 1000)
        elif reply.status != "completed":
            self.reporter.tell(BargeIn, None)
            self.reporter.fail("no flush", f"none in {NO_FLUSH_S:.0f} s of speech over a reply")
        self._turn_ended("interrupted", asked_at, reply)
        if self.hearing.reply is reply:
            self.hearing.begin_turn()
        await asyncio.sleep(ends_at - self.clock())
        await self._hear_out("spoken", ends_at)

    async def mid_reply(self, sentence: int) -> None:
        """Say something, and be in the middle of the answer."""
        asked_at = await self._say(sentence)
        reply = await self._answer("hung up on", asked_at)
        if reply is not None:
            await asyncio.sleep(HEARD_BEFORE_S)
            self._turn_ended("hung up on", asked_at, reply)

    async def _say(self, sentence: int) -> float:
        """Speak a sentence, to its end; returns when the voice ended."""
        self.hearing.begin_turn()
        _, ends_at = self._put(sentence)
        await asyncio.sleep(ends_at - self.clock())
        return ends_at

    def _put(self, sentence: int) -> tuple[float, float]:
        """Onto the microphone; returns when the voice begins and ends."""
        tone_hz = self.marks.tone_hz if self.timed else None
        clip = self.clips.clip(sentence, self.reporter.plan.line.rate, tone_hz)
        start = self.microphone.put(clip.pcm)
        taken_at = self.microphone.taken_at
        return taken_at(start), taken_at(start + clip.voice_end)

    async def _answer(self, kind: str, asked_at: float) -> Reply | None:
        """Until something of the reply was heard. None: nothing came, and that was reported."""
        await self.until(lambda: self.hearing.audible, NO_REPLY_S)
        reply = self.hearing.reply
        if reply is None or reply.player.audible_at is None:
            self.reporter.tell(TurnEnded, kind, None, self.clock() - asked_at)
            self.reporter.fail("unanswered", f"no answer within {NO_REPLY_S:.0f} s")
            self.hearing.end_turn()
            return None
        return reply

    async def _hear_out(self, kind: str, asked_at: float) -> Reply | None:
        """The answer to what was said, to its end."""
        reply = await self._answer(kind, asked_at)
        if reply is None:
            return None
        if not await self.until(lambda: self._done is not None, ENDLESS_S):
            self.reporter.fail("endless reply", f"no `reply_done` within {ENDLESS_S:.0f} s")
        reply = self._done or reply
        self._turn_ended(kind, asked_at, reply)
        self.hearing.end_turn()
        return reply

    @property
    def _done(self) -> Reply | None:
        """The turn's reply, once it is over and was not given up for a later one."""
        reply = self.hearing.reply
        return reply if reply is not None and reply.status in ("completed", "failed") else None

    def _turn_ended(self, kind: str, asked_at: float, reply: Reply) -> None:
        if reply.player.audible_at is None:
            return
        first_s = reply.player.audible_at - asked_at
        self.reporter.tell(
            TurnEnded,
            kind,
            first_s * 1000,
            self.clock() - asked_at,
            underruns=reply.underruns + reply.player.underruns,
            early=first_s < 0,
            stages=reply.stages,
        )
