"""What a call works with: stages and a voice detector that follow scripts.

A script is a sequence of steps: a number waits that many seconds, an exception is raised, HANG
waits for ever, anything else is the next item.

    stages = FakeStages(finals=[["hello"]], replies=[["Hi", 0.1, " there."]])
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deployments.contracts import (
    AudioChunk,
    Cloning,
    ReplyItem,
    ReplyRequest,
    SpeechRequest,
    SpokenWord,
    StageInfo,
    Task,
    TextDelta,
    ToolCall,
    Transcript,
    Voice,
)
from serve_app.audio.pcm import Samples
from serve_app.errors import PeerError

RATE = 16_000
WORD_MS = 200
FRAME_MS = 32
HANG = object()
"""A step that never ends."""

Script = Sequence[object]


async def play(script: Script) -> AsyncGenerator[Any, None]:
    """Follow a script."""
    for step in script:
        if step is HANG:
            await asyncio.get_running_loop().create_future()
        elif isinstance(step, int | float):
            await asyncio.sleep(step)
        elif isinstance(step, Exception):
            raise step
        else:
            yield step


class ScriptedVad:
    """Whatever is not digital silence is speech."""

    def push(self, frame: Samples) -> float:
        """See VoiceDetector."""
        return 0.9 if frame.any() else 0.1


def spoken(text: str) -> list[AudioChunk]:
    """A phrase's audio, 200 ms a word, one word a chunk; no sample repeats within 1.8 s."""
    samples = np.arange(len(text.split()) * WORD_MS * RATE // 1000) % 30_000 + 1
    pcm = samples.astype("<i2").tobytes()
    step = WORD_MS * RATE // 1000 * 2
    chunks: list[AudioChunk] = []
    at = 0
    for index, word in enumerate(text.split()):
        start = text.index(word, at)
        at = start + len(word)
        mark = SpokenWord(start, at, index * WORD_MS)
        chunks.append(AudioChunk(pcm[index * step : (index + 1) * step], RATE, (mark,)))
    return chunks


def audio_of(*phrases: str) -> bytes:
    """The whole audio of phrases as `spoken` makes it."""
    return b"".join(chunk.pcm for phrase in phrases for chunk in spoken(phrase))


@dataclass(slots=True)
class Work:
    """One piece of work that a stage was asked for. `how` it ended: done, raised or closed."""

    stage: str
    request: Any
    began_at: float
    ended_at: float | None = None
    how: str = "running"


@dataclass(slots=True)
class Asked:
    """A window that was to be transcribed."""

    pcm: bytes
    turn_id: int
    final: bool
    language: str | None
    task: Task = "transcribe"


def _speak_all(request: SpeechRequest) -> Script:
    return spoken(request.text)


def _infos() -> dict[Any, StageInfo]:
    tts = StageInfo("fake", cloning=Cloning(min_s=3.0))
    return {"stt": StageInfo("fake"), "llm": StageInfo("fake"), "tts": tts}


@dataclass(slots=True)
class FakeStages:
    """serve_app.stages.Stages by scripts, and a record of all work.

    `finals`, `replies`: one script a request, in order; the last one serves all that follow.
    `partial`: the script of every partial. `hear`, `answer`, `speak` replace the scripts.
    """

    finals: list[Script] = field(default_factory=lambda: [["hello there"]])
    partial: Script = ("",)
    replies: list[Script] = field(default_factory=lambda: [["Good morning to you."]])
    hear: Callable[[Asked], Script] | None = None
    answer: Callable[[ReplyRequest], Script] | None = None
    speak_as: Callable[[SpeechRequest], Script] = _speak_all
    voices: tuple[str, ...] = ()
    registering_raises: Exception | None = None
    registered: dict[str, bytes] = field(default_factory=dict[str, bytes])
    info: dict[Any, StageInfo] = field(default_factory=_infos)
    work: list[Work] = field(default_factory=list[Work])

    def of(self, stage: str) -> list[Work]:
        """The work of one stage, in order of its start."""
        return [work for work in self.work if work.stage == stage]

    @property
    def running(self) -> list[Work]:
        """Work that has not ended."""
        return [work for work in self.work if work.ended_at is None]

    async def check(
        self, voice: str | None, language: str | None, recogniser: str | None = None
    ) -> None:
        """See Stages."""
        if recogniser not in (None, "fake"):
            raise PeerError("invalid_request_error", f"model: here is only fake, not {recogniser}")
        if self.voices and voice is not None and voice not in self.voices:
            raise PeerError("invalid_request_error", f"voice: there is no {voice} here")
        if language == "xx":
            raise PeerError("invalid_request_error", "language: not xx")

    async def register_voice(self, name: str, wav: bytes, owner: str) -> Voice:
        """See VoiceStage."""
        del owner
        if self.registering_raises is not None:
            raise self.registering_raises
        self.registered[name] = wav
        self.voices += (name,)
        return Voice(name, 1_700_000_000, 4.0)

    def transcriber(self, call_id: str, language: str | None) -> FakeTranscriber:
        """See Stages."""
        del call_id
        return FakeTranscriber(self, language)

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyItem, None]:
        """See Stages."""
        script = self.answer(request) if self.answer else _next(self.replies)
        async with aclosing(self._watched("llm", request, script)) as texts:
            async for text in texts:
                yield text if isinstance(text, ToolCall) else TextDelta(text)

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[AudioChunk, None]:
        """See Stages."""
        async with aclosing(self._watched("tts", request, self.speak_as(request))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def hear_window(self, asked: Asked) -> Transcript:
        """A transcriber's work."""
        if self.hear:
            script = self.hear(asked)
        else:
            script = _next(self.finals) if asked.final else self.partial
        stage = "stt" if asked.final else "partial"
        async with aclosing(self._watched(stage, asked, script)) as heard:
            transcripts = [item async for item in heard]
        [transcript] = transcripts
        return transcript if isinstance(transcript, Transcript) else Transcript(transcript)

    async def _watched(
        self, stage: str, request: object, script: Script
    ) -> AsyncGenerator[Any, None]:
        loop = asyncio.get_running_loop()
        work = Work(stage, request, loop.time())
        self.work.append(work)
        try:
            async with aclosing(play(script)) as items:
                async for item in items:
                    yield item
            work.how = "done"
        except Exception:
            work.how = "raised"
            raise
        except BaseException:
            work.how = "closed"
            raise
        finally:
            work.ended_at = loop.time()


@dataclass(slots=True)
class FakeTranscriber:
    """One call's transcriber."""

    stages: FakeStages
    language: str | None

    async def transcribe(self, pcm: bytes, turn_id: int, *, final: bool) -> Transcript:
        """See Transcriber."""
        return await self.stages.hear_window(Asked(pcm, turn_id, final, self.language))


def _next(scripts: list[Script]) -> Script:
    return scripts.pop(0) if len(scripts) > 1 else scripts[0]
