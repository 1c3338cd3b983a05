"""The measured floor: one asyncio process, Silero and the timed stages, no framework.

Per call: frames into Silero on the loop, the plain rule of `bench.ear`, and on the end of a turn
transcript → text → sentences → audio, sent at most 250 ms ahead. No partials, no history, no
time-outs, no resuming: what a conversation cannot do without, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import uvloop
from websockets.asyncio.server import ServerConnection, serve

from bench.ear import Decision, Ear
from bench.plan import AHEAD_MS, StageSettings
from deployments.backend_protocols import LanguageModel, SpeechToText, TextToSpeech
from deployments.backends import create
from deployments.contracts import (
    AudioChunk,
    Message,
    ReplyRequest,
    SpeechRequest,
    SpeechWindow,
    TextDelta,
    Transcript,
)
from serve_app.audio.pcm import to_float
from serve_app.audio.vad import FRAME_SAMPLES, SileroVad

FRAME_BYTES = FRAME_SAMPLES * 2
SENTENCE_ENDS = (".", "!", "?")
THREADS = 128


@dataclass(frozen=True, slots=True)
class Stages:
    """The three backends and the threads that those which block run in."""

    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech
    threads: Executor


class ControlCall:
    """One call. `early`: the transcript is asked for at the candidate pause, as Parley does."""

    def __init__(self, socket: ServerConnection, stages: Stages, early: bool) -> None:
        self._socket = socket
        self._stages = stages
        self._early = early
        self._vad, self._ear = SileroVad(), Ear()
        self._unframed, self._speech = bytearray(), bytearray()
        self._transcript: asyncio.Task[Transcript] | None = None
        self._reply: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the caller leaves."""
        async with asyncio.TaskGroup() as tasks:
            async for message in self._socket:
                if isinstance(message, bytes):
                    await self._hear(message, tasks)
            for task in (self._reply, self._transcript):
                if task:
                    task.cancel()

    async def _hear(self, pcm: bytes, tasks: asyncio.TaskGroup) -> None:
        self._unframed += pcm
        self._speech += pcm
        while len(self._unframed) >= FRAME_BYTES:
            frame = to_float(self._unframed[:FRAME_BYTES])
            del self._unframed[:FRAME_BYTES]
            decision = self._ear.hear(self._vad.push(frame))
            if decision:
                await self._decide(decision, tasks)

    async def _decide(self, decision: Decision, tasks: asyncio.TaskGroup) -> None:
        match decision:
            case "started":
                del self._speech[: -FRAME_BYTES * 10]
            case "interrupting" if self._reply and not self._reply.done():
                self._reply.cancel()
                await self._socket.send('{"type": "flush"}')
            case "pausing" if self._early:
                self._transcript = tasks.create_task(self._transcribe())
            case "went_on" if self._transcript:
                self._transcript.cancel()
                self._transcript = None
            case "ended":
                transcript = self._transcript or tasks.create_task(self._transcribe())
                self._transcript = None
                self._reply = tasks.create_task(self._answer(transcript))
            case _:
                pass

    async def _transcribe(self) -> Transcript:
        window = SpeechWindow(bytes(self._speech), final=True)
        loop = asyncio.get_running_loop()
        stt = self._stages.stt
        return (await loop.run_in_executor(self._stages.threads, stt.transcribe, [window]))[0]

    async def _answer(self, transcript: asyncio.Task[Transcript]) -> None:
        clock = asyncio.get_running_loop().time
        text = (await transcript).text
        timings = Timings(clock)
        sentences: asyncio.Queue[str | None] = asyncio.Queue()
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._write(text, sentences, timings))
            await self._speak(sentences, timings)

    async def _write(
        self, text: str, sentences: asyncio.Queue[str | None], timings: Timings
    ) -> None:
        sentence = ""
        async for delta in self._stages.llm.reply(ReplyRequest((Message("user", text),))):
            assert isinstance(delta, TextDelta)
            timings.note("llm_ms")
            sentence += delta.text
            if sentence.rstrip().endswith(SENTENCE_ENDS):
                sentences.put_nowait(sentence.strip())
                sentence = ""
        sentences.put_nowait(None)

    async def _speak(self, sentences: asyncio.Queue[str | None], timings: Timings) -> None:
        clock = asyncio.get_running_loop().time
        started_at, sent_ms = 0.0, 0.0
        while (sentence := await sentences.get()) is not None:
            timings.restart("tts_ms")
            chunks = self._stages.tts.speak(SpeechRequest(sentence))
            async for chunk in self._in_thread(chunks):
                if timings.note("tts_ms"):
                    started_at = clock()
                await asyncio.sleep(started_at + (sent_ms - AHEAD_MS) / 1000 - clock())
                await self._socket.send(struct.pack("<BI", 1, chunk.rate) + chunk.pcm)
                sent_ms += chunk.duration_ms
                if timings.complete:
                    await self._socket.send(timings.message())

    async def _in_thread(self, chunks: Iterator[AudioChunk]):
        loop = asyncio.get_running_loop()
        step = None
        try:
            while True:
                step = loop.run_in_executor(self._stages.threads, next, chunks, None)
                chunk = await asyncio.shield(step)
                if chunk is None:
                    return
                yield chunk
        finally:
            # The voice's slot is free again once the step it is in returns.
            close = cast("Callable[[], None]", chunks.close)  # pyright: ignore
            if step is None or step.done():
                close()
            else:
                step.add_done_callback(lambda _: close())


class Timings:
    """How long the stages of one reply took to begin, told once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: dict[str, float] = {"llm_ms": clock()}
        self._taken: dict[str, float] = {}
        self._told = False

    def restart(self, stage: str) -> None:
        """The stage is asked now, if it was not before."""
        self._began.setdefault(stage, self._clock())

    def note(self, stage: str) -> bool:
        """The stage gave something; True for the first time."""
        if stage in self._taken:
            return False
        self._taken[stage] = (self._clock() - self._began[stage]) * 1000
        return True

    @property
    def complete(self) -> bool:
        """All stages have begun, and nobody was told."""
        return not self._told and len(self._taken) == len(("llm_ms", "tts_ms"))

    def message(self) -> str:
        """The `timings` message."""
        self._told = True
        return json.dumps({"type": "timings", **self._taken})


async def _serve(port: int, settings: StageSettings, early: bool) -> None:
    stages = Stages(
        cast("SpeechToText", create("stt", "timed", settings["stt"])),
        create("llm", "timed", settings["llm"]),
        create("tts", "timed", settings["tts"]),
        ThreadPoolExecutor(THREADS),
    )
    SileroVad()

    async def call(socket: ServerConnection) -> None:
        await ControlCall(socket, stages, early).run()

    async with serve(call, "127.0.0.1", port, compression=None, ping_interval=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.systems.control")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stages", type=json.loads, required=True)
    parser.add_argument("--early", action="store_true")
    options = parser.parse_args()
    uvloop.run(_serve(options.port, options.stages, options.early))
