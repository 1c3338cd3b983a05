"""A livekit agent whose model is openai.realtime.RealtimeModel: `HOST SPEECH_DIRECTORY`."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path

import aiohttp
from caller import RATE, Caller
from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    CloseEvent,
    ConversationItemAddedEvent,
    ErrorEvent,
    UserInputTranscribedEvent,
    function_tool,
    io,
)
from livekit.agents.llm import ChatMessage
from livekit.plugins.openai.realtime import RealtimeModel


class Microphone(io.AudioInput):
    """The caller's voice."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(label="caller")
        self._frames = caller.frames()

    async def __anext__(self) -> rtc.AudioFrame:
        """The next 20 ms."""
        pcm = await anext(self._frames)
        return rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2)


class Loudspeaker(io.AudioOutput):
    """Says when a reply was played, and how much of one that was cleared."""

    def __init__(self, caller: Caller) -> None:
        capabilities = io.AudioOutputCapabilities(pause=False)
        super().__init__(label="caller", capabilities=capabilities, sample_rate=RATE)
        self._caller = caller
        self._started_at = 0.0
        self._pushed_s = 0.0
        self._finishing: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Play a piece."""
        await super().capture_frame(frame)
        if not self._pushed_s:
            self._started_at = time.time()
            self.on_playback_started(created_at=self._started_at)
        self._pushed_s += frame.duration
        self._caller.hear(bytes(frame.data))

    def flush(self) -> None:
        """The reply is over when it was played."""
        super().flush()
        if self._pushed_s:
            rest_s = self._started_at + self._pushed_s - time.time()
            loop = asyncio.get_running_loop()
            self._finishing = loop.call_later(max(0.0, rest_s), self._finish, False)

    def clear_buffer(self) -> None:
        """The caller interrupted."""
        if self._pushed_s:
            self._finish(True)

    def _finish(self, interrupted: bool) -> None:
        if self._finishing:
            self._finishing.cancel()
        played_s = min(self._pushed_s, time.time() - self._started_at)
        self._pushed_s = 0.0
        self.on_playback_finished(playback_position=played_s, interrupted=interrupted)


async def converse(host: str, caller: Caller, http: aiohttp.ClientSession) -> None:
    """One conversation."""

    @function_tool
    async def get_weather(place: str) -> str:
        """The weather."""
        caller.tell("called", name="get_weather", arguments={"place": place})
        return "raining"

    model = RealtimeModel(
        base_url=f"http://{host}/v1", api_key="any", model="parley", http_session=http
    )
    session: AgentSession[None] = AgentSession(llm=model)
    session.input.audio = Microphone(caller)
    session.output.audio = Loudspeaker(caller)

    @session.on("user_input_transcribed")
    def heard(event: UserInputTranscribedEvent) -> None:
        if event.is_final:
            caller.tell("heard", text=event.transcript)

    @session.on("conversation_item_added")
    def replied(event: ConversationItemAddedEvent) -> None:
        if isinstance(event.item, ChatMessage) and event.item.role == "assistant":
            if event.item.interrupted:
                caller.tell("interrupted")
            caller.tell("replied", text=event.item.text_content or "")

    @session.on("error")
    def failed(event: ErrorEvent) -> None:
        caller.tell("error", text=str(event.error))

    @session.on("close")
    def closed(event: CloseEvent) -> None:
        caller.tell("closed", reason=event.reason.value)

    await session.start(Agent(instructions="Be kind.", tools=[get_weather]))
    await caller.converse()
    await session.aclose()


async def main(host: str, speech: Path) -> None:
    """A livekit agent outside of a job brings its own HTTP session."""
    async with aiohttp.ClientSession() as http:
        await converse(host, Caller(speech), http)


logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
