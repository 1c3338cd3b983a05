"""A caller for the end-to-end tests: speaks in real time, keeps what it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from clients import events as told
from clients.voice_client import VoiceClient

T = TypeVar("T")
FRAME_S = 0.02


class Caller:
    """One call, read in the background from the moment it is open."""

    def __init__(self, client: VoiceClient) -> None:
        self.client = client
        self.events: list[Any] = []
        self._changed = asyncio.Condition()
        self._closed = False

    async def until(self, wanted: Callable[[Any], bool], limit_s: float = 15.0) -> Any:
        """The first event that is wanted and was not returned before."""
        try:
            async with asyncio.timeout(limit_s), self._changed:
                while True:
                    for at, event in enumerate(self.events):
                        if event is not None and wanted(event):
                            self.events[at] = None
                            return event
                    assert not self._closed, f"the call ended: {self.kinds()}"
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {limit_s} s: {self._last()}") from None

    async def until_a(self, kind: type[T], limit_s: float = 15.0) -> T:
        """The next event of a kind."""
        return await self.until(lambda event: isinstance(event, kind), limit_s)

    async def until_closed(self, limit_s: float = 15.0) -> None:
        """Until the server hung up."""
        async with asyncio.timeout(limit_s), self._changed:
            await self._changed.wait_for(lambda: self._closed)

    def of(self, kind: type[T]) -> list[T]:
        """The events of a kind that were not returned by `until`."""
        return [event for event in self.events if isinstance(event, kind)]

    def kinds(self) -> list[str]:
        """What came, in order."""
        return [type(event).__name__ for event in self.events if event is not None]

    def _last(self) -> list[Any]:
        """What came last and was not looked for, without its sound."""
        return [e for e in self.events if e is not None and not isinstance(e, told.Audio)][-12:]

    async def speak(self, pcm: bytes, rate: int) -> None:
        """Send speech in frames of 20 ms, in real time."""
        step = round(rate * FRAME_S) * 2
        loop = asyncio.get_running_loop()
        began = loop.time()
        for count, at in enumerate(range(0, len(pcm), step)):
            await self.client.send_audio(pcm[at : at + step])
            await _until(began + (count + 1) * FRAME_S)

    @contextlib.asynccontextmanager
    async def listening(self, rate: int) -> AsyncIterator[None]:
        """A live microphone: silence is sent for as long as this lasts."""
        async with asyncio.TaskGroup() as tasks:
            silence = tasks.create_task(self._hush(rate))
            yield
            silence.cancel()

    async def _hush(self, rate: int) -> None:
        while True:
            await self.speak(bytes(rate // 5 * 2), rate)

    async def read(self) -> None:
        """Keep events until the call is over."""
        try:
            async for event in self.client:
                async with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
        finally:
            async with self._changed:
                self._closed = True
                self._changed.notify_all()


async def _until(at: float) -> None:
    """Real time is what a caller's audio takes."""
    await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))


@contextlib.asynccontextmanager
async def calling(url: str, **query: Any) -> AsyncIterator[Caller]:
    """A call that is hung up on leaving, and lost for good where its connection is."""
    async with VoiceClient.connect(url, **{"reconnect": None, **query}) as client:
        caller = Caller(client)
        reading = asyncio.ensure_future(caller.read())
        try:
            yield caller
        finally:
            reading.cancel()
            await asyncio.wait([reading])
