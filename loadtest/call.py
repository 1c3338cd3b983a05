"""One call: connects as its plan says, over the client library, and reports what came of it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, cast

from clients.voice_client import CallError, CallLost, CallRefused, VoiceClient
from clients.wire import BadMessage
from loadtest.clips import Clips
from loadtest.hearing import LEAK, Hearing
from loadtest.marks import marks_of
from loadtest.microphone import Microphone
from loadtest.records import CallBegan, CallEnded, CameBack, Leak, Record
from loadtest.relay import Relay, relay
from loadtest.reporter import Reporter
from loadtest.scenario import Plan, Step
from loadtest.turns import Turns

NO_READY_S: Final = 10.0
NO_RETURN_S: Final = 15.0
GOODBYE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where calls go. `timed`: it runs `timed.yaml`, so what comes says of whose call it is."""

    url: str
    timed: bool
    api_key: str | None = None
    connect_timeout_s: float = 10.0

    @property
    def way_can_be_cut(self) -> bool:
        """A relay cannot stand in for a server with a certificate."""
        return self.url.startswith("ws://")


class Call:
    """Makes one call. `clock` in s; `now` is the time of day of the records."""

    def __init__(
        self,
        plan: Plan,
        server: Server,
        clips: Clips,
        report: Callable[[Record], None],
        *,
        clock: Callable[[], float] = time.perf_counter,
        now: Callable[[], float] = time.time,
    ) -> None:
        marks = marks_of(plan.number)
        self._plan = plan
        self._server = server
        self._clock = clock
        self._reporter = Reporter(plan, report, now)
        self._hearing = Hearing(marks, timed=server.timed)
        self._turns = Turns(self._hearing, marks, clips, self._reporter, server.timed, clock)
        self._voice = str(marks.voice_hz) if server.timed else None
        self._steps = deque(plan.steps)
        self._relay: Relay | None = None
        self._client: VoiceClient | None = None
        self._opened_at: float | None = None
        self._cut_at: float | None = None
        self._how = "lost"

    async def run(self) -> None:
        """Until the plan is done or the call is lost. A call that is cancelled was `stopped`."""
        try:
            async with AsyncExitStack() as stack:
                url = self._server.url
                if any(step.kind == "lose connection" for step in self._steps):
                    url, self._relay = await stack.enter_async_context(relay(url))
                while not await self._connected(url):
                    pass
        except CallRefused as error:
            self._reporter.fail(f"refused: {error.code}", str(error))
        except CallLost as error:
            self._reporter.fail(f"lost: {error.close_code}", str(error))
        except (CallError, BadMessage) as error:
            self._reporter.fail(f"broken: {type(error).__name__}", str(error))
        except asyncio.CancelledError:
            self._how = "stopped"
            raise
        finally:
            if self._opened_at is not None:
                self._reporter.tell(CallEnded, self._how, self._clock() - self._opened_at)

    def round_trips_ms(self) -> list[float]:
        """The network's, that were measured since this was last asked."""
        if self._client is None:
            return []
        measured = list(self._client.round_trips_ms)
        self._client.round_trips_ms.clear()
        return measured

    async def _connected(self, url: str) -> bool:
        """One connection; True: the call is over, False: it was cut, and is to be made again."""
        asked_at, line = self._clock(), self._plan.line
        try:
            async with VoiceClient.connect(
                url,
                codec=line.codec,
                rate=line.rate,
                reply=line.reply,
                voice=self._voice,
                connect_timeout_s=self._server.connect_timeout_s,
                clock=self._clock,
                api_key=self._server.api_key,
            ) as client:
                self._client = self._turns.client = client
                if self._opened_at is None:
                    self._opened_at = self._clock()
                    self._reporter.tell(CallBegan, (self._opened_at - asked_at) * 1000)
                await self._both_ways(client)
        except* CallLost as group:
            if self._cut_at is None:
                raise _one_of(group) from None
        except* (CallError, BadMessage) as group:
            raise _one_of(group) from None
        return self._cut_at is None

    async def _both_ways(self, client: VoiceClient) -> None:
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(client))
            speaking = tasks.create_task(self._speak(client))
            await self._play()
            speaking.cancel()
            if self._plan.ending == "says goodbye":
                await client.end()
                await asyncio.wait([listening], timeout=GOODBYE_S)
            listening.cancel()

    async def _listen(self, client: VoiceClient) -> None:
        async for event in client:
            before = self._hearing.ready
            self._hearing.handle(event, self._clock())
            if self._hearing.ready > max(before, 1):
                self._came_back()
            for problem in self._hearing.problems():
                if problem.kind == LEAK:
                    self._reporter.tell(Leak, problem.what)
                else:
                    self._reporter.fail(problem.kind, problem.what)
            self._turns.heard()

    def _came_back(self) -> None:
        if self._cut_at is None:
            self._reporter.fail("connection lost", "the client came back to its call")
            return
        self._reporter.tell(CameBack, (self._clock() - self._cut_at) * 1000)
        self._cut_at = None

    async def _speak(self, client: VoiceClient) -> None:
        microphone = self._turns.microphone = Microphone(self._plan.line.rate, self._clock())
        while True:
            await asyncio.sleep(microphone.due - self._clock())
            await client.send_audio(microphone.read())

    async def _play(self) -> None:
        """The steps that are left, then the ending."""
        if not await self._turns.until(self._is_open, NO_READY_S):
            self._reporter.fail("never ready", f"no `ready` within {NO_READY_S:.0f} s")
            self._cut_at = None
        while self._steps:
            await self._step(self._steps.popleft())
        if self._plan.ending == "hangs up mid-reply":
            await self._turns.mid_reply(self._plan.steps[0].sentence)
            self._how = "hung up mid-reply"
        else:
            self._how = "said goodbye"

    def _is_open(self) -> bool:
        return self._hearing.ready > 0 and self._cut_at is None

    async def _step(self, step: Step) -> None:
        await asyncio.sleep(step.wait_s)
        match step.kind:
            case "keep silent":
                pass  # Whatever is answered now is an unprompted reply.
            case "lose connection":
                await self._lose_connection()
            case "type":
                await self._turns.type()
            case "speak":
                await self._turns.speak(step.sentence)
            case "interrupt":
                await self._turns.interrupt(step.sentence)

    async def _lose_connection(self) -> None:
        if self._relay is None:
            return
        self._cut_at = self._clock()
        self._relay.cut()
        if not await self._turns.until(lambda: self._cut_at is None, NO_RETURN_S):
            self._reporter.fail("did not come back", f"no call within {NO_RETURN_S:.0f} s of a cut")
            self._cut_at = None


def _one_of(group: BaseExceptionGroup[Any]) -> BaseException:
    """Both directions of a lost call fail alike: one of them says it."""
    first: BaseException = group.exceptions[0]
    if isinstance(first, BaseExceptionGroup):
        return _one_of(cast("BaseExceptionGroup[Any]", first))
    return first
