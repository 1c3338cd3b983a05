"""Callers who speak and type without end, and what came of each of their turns.

Over stages of known speed that tell callers apart (loadtest/timed.yaml), and over a model that says
all that it was told (resume_graph.py): there they only type, and each answer must have in it what
was answered before. Whatever else is said to one of them is wrong.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from clients import events as told
from clients.returning import Backoff
from clients.voice_client import VoiceClient
from loadtest.clips import Clips, make_clips
from loadtest.marks import foreign_tone, foreign_word, marks_of
from loadtest.microphone import Microphone
from loadtest.news import News

RATE = 16_000
TURN_S = 40.0
"""Far more than all time-outs and retries of a turn together: by then its caller was answered or
told, or never will be."""
ANSWERED, SILENCE, WRONG, LOST = "answered", "silence", "wrong", "lost"
FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class Turn:
    """Times in s of the event loop. `came`: ANSWERED; an error's code; LOST, with the connection
    it was said on, before the server took it. Must never be: WRONG, something of another caller's;
    FORGOTTEN, an answer that does not know what was answered before; SILENCE."""

    call: int
    spoken: bool
    asked_at: float
    audible_at: float | None
    over_at: float
    came: str
    told: str
    """What it was told, for a test that failed."""


class Talker:
    """One call. `types`: it never speaks, and its answers are to have all of the call in them."""

    def __init__(self, number: int, client: VoiceClient, clips: Clips, *, types: bool) -> None:
        self.number = number
        self.client = client
        self.turns: list[Turn] = []
        self.lost_at: list[float] = []
        """When its connection was lost, each time."""
        self.back_at: list[float] = []
        """When it had come back to its conversation."""
        self._known: list[str] = []
        self._marks = marks_of(number)
        self._clips = clips
        self._types = types
        self._microphone = Microphone(RATE, asyncio.get_running_loop().time())
        self._mark = ""
        self._sent_at_loss: int | None = None
        self._text = ""
        self._audible_at: float | None = None
        self._error: str | None = None
        self._replying = False
        self._outcome: asyncio.Future[str] = asyncio.Future()

    async def run(self, over: Callable[[], None]) -> None:
        """Turn after turn, until it is cancelled; each one's end is told."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            if not self._types:
                tasks.create_task(self._speak())
            for count in itertools.count():
                # Callers that begin together do not speak together.
                await asyncio.sleep(0.2 + (self.number * 7 + count * 3) % 10 / 10)
                self.turns.append(await self._turn(count))
                over()

    @property
    def losses(self) -> int:
        """How often its connection was lost."""
        return len(self.lost_at)

    @property
    def returns(self) -> int:
        """How often it came back to its conversation."""
        return len(self.back_at)

    @property
    def in_turn(self) -> bool:
        """It has said something, and waits for the answer or hears it."""
        return not self._outcome.done()

    async def _turn(self, count: int) -> Turn:
        clock = asyncio.get_running_loop().time
        self._outcome, self._audible_at, self._error = asyncio.Future(), None, None
        self._sent_at_loss, self._text = None, ""
        spoken = not self._types and (self.number + count) % 2 == 0
        if not spoken:
            self._mark = f"{self._marks.word} {_letters(count)}"
            asked_at = clock()
            await self.client.send_text(self._mark)
        else:
            self._mark = str(self._marks.tone_hz)
            asked_at = await self._say((self.number + count) % len(self._clips))
        self._sent_at_loss = self.losses
        try:
            async with asyncio.timeout(TURN_S):
                came = await self._outcome
        except TimeoutError:
            came = SILENCE
        return Turn(self.number, spoken, asked_at, self._audible_at, clock(), came, self._text)

    def _answered(self) -> None:
        """A reply was heard out. That it is of another turn is well where the rest of an earlier
        one was owed; the answer is to come all the same."""
        if self._mark not in self._text:
            self._text = ""
            return
        forgotten = any(mark not in self._text for mark in self._known)
        if self._types:
            self._known.append(self._mark)
        self._over(FORGOTTEN if forgotten else ANSWERED)

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
                self.lost_at.append(asyncio.get_running_loop().time())
            case told.Resumed():
                self._came_back(event)
            case told.ReplyStarted():
                self._replying = True
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
                    self._answered()
                elif status == "failed":
                    self._over(self._error or SILENCE)
            case _:
                pass

    def _came_back(self, resumed: told.Resumed) -> None:
        self.back_at.append(asyncio.get_running_loop().time())
        self._replying = False
        if self._sent_at_loss is None or self._sent_at_loss == self.losses:
            return  # What was said meanwhile goes out now.
        if resumed.last_turn != self._mark:
            self._over(LOST)
            return
        self._text = f"{resumed.heard} "  # And what comes now is the rest of it.
        if resumed.heard.rstrip(".").endswith(self._mark):  # There is no rest.
            self._answered()

    def _over(self, came: str) -> None:
        if not self._outcome.done():
            self._outcome.set_result(came)


def _letters(count: int) -> str:
    """A number as the rest of a reply says it too: that is in words, as it is spoken."""
    return chr(ord("a") + count % 26) * (count // 26 + 1)


class Talkers:
    """Those of a block."""

    def __init__(self, talkers: list[Talker]) -> None:
        self.all = talkers
        self._news = News()

    def over(self) -> None:
        """A turn of somebody's is over."""
        self._news.tell()

    @property
    def turns(self) -> list[Turn]:
        """All that are over."""
        return [turn for talker in self.all for turn in talker.turns]

    def first_answers(self, since: float, *, spoken: bool = False) -> dict[int, Turn]:
        """By call, the first turn that was begun after a moment and was answered; a spoken one,
        or any."""
        return {
            turn.call: turn
            for turn in reversed(self.turns)
            if turn.asked_at > since and turn.came == ANSWERED and turn.spoken >= spoken
        }

    async def until_answered(self, since: float, within_s: float, *, spoken: bool = False) -> None:
        """Until every call had an answer to what it said after a moment."""
        answered = self.first_answers
        await self.until(lambda: len(answered(since, spoken=spoken)) == len(self.all), within_s)

    async def until(self, holds: Callable[[], bool], within_s: float) -> None:
        """Until a turn's end makes it so."""
        if not await self._news.until(holds, within_s):
            came = [(t.number, [turn.came for turn in t.turns][-5:]) for t in self.all]
            raise TimeoutError(f"not within {within_s} s: {came}")

    def report(self, what: str, since: float, *, spoken: bool = False) -> None:
        """For docs/reliability.md: from a moment to the first sound of the answers to what was
        said after it, in the first call and the last; the longest that anybody waited for one, be
        it to what was said before; who lost the connection and came back when; and what came of
        all turns since."""
        first = self.first_answers(since, spoken=spoken).values()
        waits = sorted((turn.audible_at or turn.over_at) - since for turn in first)
        lost = [at - since for talker in self.all for at in talker.lost_at if at > since]
        back = [at - since for talker in self.all for at in talker.back_at if at > since]
        ended = [turn for turn in self.turns if turn.over_at > since and turn.audible_at]
        longest = max((turn.audible_at or 0.0) - turn.asked_at for turn in ended)
        print(f"\n{what}: answers after {waits[0]:.1f} to {waits[-1]:.1f} s, ", end="")
        print(f"the longest wait for one {longest:.1f} s; ", end="")
        if lost:
            print(f"{len(lost)} lost after {min(lost):.1f} to {max(lost):.1f} s, ", end="")
            print(f"{len(back)} back after {min(back):.1f} to {max(back):.1f} s; ", end="")
        print(dict(Counter(self.came_since(since))), flush=True)

    def not_answered(self, but: Collection[str] = ()) -> list[Turn]:
        """The turns of which neither an answer nor one of these came."""
        return [turn for turn in self.turns if turn.came not in (ANSWERED, *but)]

    def came_since(self, since: float) -> list[str]:
        """What came of the turns that ended after a moment."""
        return [turn.came for turn in self.turns if turn.over_at > since]


@asynccontextmanager
async def talking(url: str, calls: int, *, types: bool = False) -> AsyncGenerator[Talkers]:
    """So many calls, for as long as the block lasts."""
    clips = make_clips([RATE])
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                VoiceClient.connect(url, codec="pcm16", rate=RATE, reconnect=Backoff())
            )
            for _ in range(calls)
        ]
        talkers = Talkers([Talker(n, c, clips, types=types) for n, c in enumerate(clients)])
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(talker.run(talkers.over)) for talker in talkers.all]
            yield talkers
            for task in running:
                task.cancel()
