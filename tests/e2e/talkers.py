"""Callers who speak and type without end, and what came of each of their turns.

Over stages of known speed that tell callers apart (loadtest/timed.yaml): whatever is said to one
caller has that caller's marks in it, or it is wrong.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from clients import events as told
from clients.returning import Backoff
from clients.voice_client import VoiceClient
from loadtest.clips import Clips, make_clips
from loadtest.marks import foreign_tone, foreign_word, marks_of
from loadtest.microphone import Microphone

RATE = 16_000
TURN_S = 40.0
"""Far more than all time-outs and retries of a turn together: by then its caller was answered or
told, or never will be."""
ANSWERED, SILENCE, WRONG, LOST = "answered", "silence", "wrong", "lost"


@dataclass(frozen=True)
class Turn:
    """Times in s of the event loop. `came`: ANSWERED; an error's code; LOST, the connection with
    it; WRONG, an answer to something else; SILENCE, which is what must never be."""

    call: int
    asked_at: float
    audible_at: float | None
    over_at: float
    came: str


class Talker:
    """One call. `typed`: it never speaks."""

    def __init__(self, number: int, client: VoiceClient, clips: Clips, *, typed: bool) -> None:
        self.number = number
        self.client = client
        self.turns: list[Turn] = []
        self.losses = 0
        """How often its connection was lost."""
        self.returns = 0
        """How often it came back to its conversation."""
        self._marks = marks_of(number)
        self._clips = clips
        self._typed = typed
        self._microphone = Microphone(RATE, asyncio.get_running_loop().time())
        self._text = ""
        self._audible_at: float | None = None
        self._error: str | None = None
        self._replying = False
        self._outcome: asyncio.Future[str] = asyncio.Future()

    async def run(self, report: Callable[[], None]) -> None:
        """Turn after turn, until it is cancelled; each is reported."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            if not self._typed:
                tasks.create_task(self._speak())
            for count in itertools.count():
                # Callers that begin together do not speak together.
                await asyncio.sleep(0.2 + (self.number * 7 + count * 3) % 10 / 10)
                self.turns.append(await self._turn(count))
                report()

    @property
    def in_turn(self) -> bool:
        """It has said something, and waits for the answer or hears it."""
        return not self._outcome.done()

    async def _turn(self, count: int) -> Turn:
        clock = asyncio.get_running_loop().time
        losses = self.losses
        self._outcome, self._audible_at, self._error = asyncio.Future(), None, None
        if self._typed or count % 2:
            mark = f"{self._marks.word} {count}"
            asked_at = clock()
            await self.client.send_text(mark)
        else:
            mark = str(self._marks.tone_hz)
            asked_at = await self._say((self.number + count) % len(self._clips))
        try:
            async with asyncio.timeout(TURN_S):
                came = await self._outcome
        except TimeoutError:
            came = SILENCE
        if came == ANSWERED and mark not in self._text:
            came = WRONG
        if came in (SILENCE, WRONG) and self.losses > losses:
            came = LOST
        return Turn(self.number, asked_at, self._audible_at, clock(), came)

    async def _say(self, sentence: int) -> float:
        """Speak a sentence; returns when its voice ended, which is when it has."""
        clip = self._clips.clip(sentence, RATE, self._marks.tone_hz)
        ends_at = self._microphone.taken_at(self._microphone.put(clip.pcm) + clip.voice_end)
        await asyncio.sleep(ends_at - asyncio.get_running_loop().time())
        return ends_at

    async def _speak(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._microphone.due - clock())
            await self.client.send_audio(self._microphone.read())

    async def _listen(self) -> None:
        async for event in self.client:
            self._heard(event)
        raise AssertionError(f"call {self.number}: the server hung up")

    def _heard(self, event: Any) -> None:
        match event:
            case told.Reconnecting():
                self.losses += 1
            case told.Resumed():
                self.returns += 1
            case told.ReplyStarted():
                self._replying, self._text = True, ""
            case told.ReplyText(delta=delta):
                self._text += delta
                if foreign_word(self._text, self._marks) or foreign_tone(self._text, self._marks):
                    self._over(WRONG)
            case told.Audio():
                self._audible_at = self._audible_at or asyncio.get_running_loop().time()
            case told.ServerError(code=code) if self._replying:
                self._error = code  # Its reply ends now.
            case told.ServerError(code=code):
                self._over(code)
            case told.ReplyDone(status=status):
                self._replying = False
                if status == "completed":
                    self._over(ANSWERED)
                elif status == "failed":
                    self._over(self._error or SILENCE)
            case _:
                pass

    def _over(self, came: str) -> None:
        if not self._outcome.done():
            self._outcome.set_result(came)


class Talkers:
    """Those of a block."""

    def __init__(self, talkers: list[Talker]) -> None:
        self.all = talkers
        self._news = asyncio.Event()

    def report(self) -> None:
        """A turn of somebody's is over."""
        self._news.set()

    @property
    def turns(self) -> list[Turn]:
        """All that are over."""
        return [turn for talker in self.all for turn in talker.turns]

    def first_answers(self, since: float) -> dict[int, Turn]:
        """By call, the first turn that was begun after a moment and was answered."""
        return {
            talker.number: next(turn for turn in talker.turns if _answers(turn, since))
            for talker in self.all
            if any(_answers(turn, since) for turn in talker.turns)
        }

    async def until_answered(self, since: float, within_s: float) -> None:
        """Until every call had an answer to what it said after a moment."""
        await self.until(lambda: len(self.first_answers(since)) == len(self.all), within_s)

    async def until(self, holds: Callable[[], bool], within_s: float) -> None:
        """Until a turn's end makes it so."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            came = [(t.number, [turn.came for turn in t.turns][-5:]) for t in self.all]
            raise TimeoutError(f"not within {within_s} s: {came}") from None

    def came_since(self, since: float) -> list[str]:
        """What came of the turns that ended after a moment."""
        return [turn.came for turn in self.turns if turn.over_at > since]


def _answers(turn: Turn, since: float) -> bool:
    return turn.asked_at > since and turn.came == ANSWERED


@asynccontextmanager
async def talking(url: str, calls: int, *, typed: bool = False) -> AsyncGenerator[Talkers]:
    """So many calls, for as long as the block lasts."""
    clips = make_clips([RATE])
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                VoiceClient.connect(url, codec="pcm16", rate=RATE, reconnect=Backoff())
            )
            for _ in range(calls)
        ]
        talkers = Talkers([Talker(n, c, clips, typed=typed) for n, c in enumerate(clients)])
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(talker.run(talkers.report)) for talker in talkers.all]
            yield talkers
            for task in running:
                task.cancel()
