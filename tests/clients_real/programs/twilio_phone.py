"""A telephone on Twilio's side of the line, by pipecat's serializer: `HOST SPEECH_DIRECTORY`.

Sound is coded and decoded by the serializer. What Twilio itself does is done here: it plays, sends
marks back when it has played up to them, and forgets what waits when it is told to clear.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from caller import FRAME_BYTES, FRAME_S, RATE, Caller
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame
from pipecat.serializers.twilio import TwilioFrameSerializer
from websockets.asyncio.client import ClientConnection, connect

STREAM = "MZ1"
START = {
    "event": "start",
    "sequenceNumber": "1",
    "streamSid": STREAM,
    "start": {
        "streamSid": STREAM,
        "accountSid": "AC1",
        "callSid": "CA1",
        "tracks": ["inbound"],
        "customParameters": {},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    },
}
OVER_AFTER_S = 1.5
"""Silence after which a reply is over: a busy machine pauses between phrases."""


class Phone:
    """One call."""

    def __init__(self, caller: Caller, socket: ClientConnection) -> None:
        self._caller = caller
        self._socket = socket
        params = TwilioFrameSerializer.InputParams(sample_rate=RATE, auto_hang_up=False)
        self._serializer = TwilioFrameSerializer(STREAM, params=params)
        self._waiting: deque[bytes | str] = deque()
        self._playing = False
        self._hung_up = False

    async def begin(self) -> None:
        """The call is connected."""
        setup: Any = SimpleNamespace(audio_in_sample_rate=RATE)
        await self._serializer.setup(setup)
        await self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await self._send(START)

    async def speak(self) -> None:
        """Send the caller's voice."""
        async for pcm in self._caller.frames():
            media = await self._serializer.serialize(OutputAudioRawFrame(pcm, RATE, 1))
            if media is not None:
                await self._socket.send(media)

    async def listen(self) -> None:
        """Take what is sent until the line is closed."""
        async for message in self._socket:
            frame = await self._serializer.deserialize(message)
            fields = json.loads(message)
            if isinstance(frame, InputAudioRawFrame):
                self._waiting.append(frame.audio)
            elif fields["event"] == "mark":
                self._waiting.append(fields["mark"]["name"])
            elif fields["event"] == "clear" and not self._hung_up:
                await self._clear()

    async def play(self) -> None:
        """Play 20 ms each 20 ms, and tell when a reply is over."""
        loop = asyncio.get_running_loop()
        due = last_at = loop.time()
        while True:
            pcm = await self._next_piece()
            if pcm:
                self._caller.hear(pcm)
                self._playing, last_at = True, loop.time()
            elif self._playing and loop.time() > last_at + OVER_AFTER_S:
                self._playing = False
                self._caller.tell("replied", text="")
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def hang_up(self) -> None:
        """The caller is done: the server closes the line, and Twilio answers no more."""
        self._hung_up = True
        await self._send({"event": "stop", "streamSid": STREAM, "stop": {"callSid": "CA1"}})
        await self._socket.wait_closed()
        self._caller.tell("closed", code=self._socket.close_code)

    async def _next_piece(self) -> bytes:
        piece = b""
        while self._waiting and len(piece) < FRAME_BYTES:
            first = self._waiting.popleft()
            if isinstance(first, str):
                await self._mark(first)
                continue
            room = FRAME_BYTES - len(piece)
            piece += first[:room]
            if len(first) > room:
                self._waiting.appendleft(first[room:])
        return piece

    async def _clear(self) -> None:
        self._playing = False
        self._caller.tell("interrupted")
        waiting, self._waiting = self._waiting, deque()
        for mark in waiting:
            if isinstance(mark, str):
                await self._mark(mark)

    async def _mark(self, name: str) -> None:
        await self._send({"event": "mark", "streamSid": STREAM, "mark": {"name": name}})

    async def _send(self, fields: dict[str, Any]) -> None:
        await self._socket.send(json.dumps(fields))


async def main(host: str, speech: Path) -> None:
    """One call: two turns, and an interruption."""
    caller = Caller(speech)
    async with connect(f"ws://{host}/twilio") as socket, asyncio.TaskGroup() as tasks:
        phone = Phone(caller, socket)
        await phone.begin()
        tasks.create_task(phone.listen())
        busy = [tasks.create_task(phone.speak()), tasks.create_task(phone.play())]
        caller.say("question")
        await caller.until("replied", 1)
        caller.say("question")
        await caller.until_playing()
        caller.say("question")  # A telephone leaves few other words to understand.
        await caller.until("interrupted", 1)
        await caller.until("replied", 2)
        for task in busy:
            task.cancel()
        await phone.hang_up()


asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
