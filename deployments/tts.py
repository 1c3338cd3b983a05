"""Text-to-speech as a Ray Serve deployment: a phrase in, its audio as it is made out.

A voice makes as many phrases at once as its backend has slots; the others wait, and `Schedule`
says who is next.
"""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedClassDecorator=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count, groupby
from operator import attrgetter

from ray import serve

from deployments import backends
from deployments.contracts import (
    SPEECH_RATE,
    AudioChunk,
    Overloaded,
    SpeechCapacity,
    SpeechRequest,
    StageInfo,
    TextToSpeech,
)
from deployments.loading import loading
from deployments.schedule import Job, Schedule
from deployments.threads import ThreadedStream

MAX_WAITING = 64
"""Phrases that may wait for a slot: one a call of a full ingress replica."""

GATHER_S = 0.05
"""Items on a handle cost CPU at both ends: after a phrase's first, what a voice that is faster
than real time makes in this time goes as one. Less than the 80 ms a first chunk should last."""

CONTENDED_PHRASE_S = 1.2
"""Audio of a later phrase while others wait: so long does nobody wait for one."""


@serve.deployment(name="TextToSpeech")
class TextToSpeechDeployment:
    """One replica of the configured voice."""

    def __init__(self, backend: str, settings: dict[str, object]) -> None:
        self.serve_backend(backends.create("tts", backend, settings))

    def serve_backend(self, backend: TextToSpeech) -> None:
        """Load a backend and serve it."""
        self._backend = backend
        with loading("tts"):
            self._info = backend.load()
        self._schedule = Schedule(self._info.slots, MAX_WAITING)
        self._turns: dict[int, asyncio.Future[None]] = {}
        self._keys = count()

    async def describe(self) -> StageInfo:
        """What is loaded. Answers only once it is."""
        return self._info

    async def capacity(self) -> SpeechCapacity:
        """What room there is now."""
        schedule = self._schedule
        forecast = schedule.forecast(asyncio.get_running_loop().time())
        return SpeechCapacity(
            running=schedule.running,
            waiting=schedule.waiting,
            first_wait_ms=forecast.first_wait_s * 1000,
            late_ms=forecast.late_s * 1000,
            real_time_factor=schedule.pace.real_time_factor,
        )

    async def speak(self, request: SpeechRequest) -> AsyncGenerator[AudioChunk, None]:
        """The phrase's audio, once it is its turn. Raises BadInput, Overloaded.

        Stopping early ends the wait at once, or stops the voice after the step it is in.
        """
        due_at = asyncio.get_running_loop().time() + request.slack_ms / 1000
        job = Job(next(self._keys), request.urgency, due_at, len(request.text))
        turn = self._submit(job)
        try:
            if request.urgency == "speculative" and not turn.done():
                # So that it can be asked for again, as more urgent, once its turn is committed.
                yield AudioChunk(b"", SPEECH_RATE, queued=True)
                await turn
                yield AudioChunk(b"", SPEECH_RATE)
            await turn
        except BaseException:
            self._give_up(job, turn)
            raise
        finally:
            del self._turns[job.key]
        stream = ThreadedStream(partial(self._backend.speak, request))
        stream.ended.add_done_callback(lambda _: self._let_go(job))
        audio_s, contended, gather_until = 0.0, False, 0.0
        try:
            async for first in stream:
                contended = contended or self._schedule.contended
                for chunk in _joined([first, *await stream.gathered(gather_until)]):
                    audio_s += chunk.duration_ms / 1000
                    yield self._with_limit(chunk) if contended else chunk
                gather_until = asyncio.get_running_loop().time() + GATHER_S
        finally:
            stream.stop()
        self._learn(job, stream, audio_s)

    def _submit(self, job: Job) -> asyncio.Future[None]:
        """Done once the job has a slot. Raises Overloaded where it gets none."""
        turn = self._turns[job.key] = asyncio.get_running_loop().create_future()
        refused = self._schedule.submit(job)
        if refused is not None and not self._turns[refused.key].done():
            self._turns[refused.key].set_exception(Overloaded("more urgent phrases wait"))
        self._start()
        return turn

    def _give_up(self, job: Job, turn: asyncio.Future[None]) -> None:
        """Its reader left before the voice began."""
        self._schedule.withdraw(job.key)
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._let_go(job)

    def _start(self) -> None:
        """Give away the slots that are free."""
        now = asyncio.get_running_loop().time()
        while (job := self._schedule.start(now)) is not None:
            turn = self._turns[job.key]
            if turn.cancelled():
                # Its reader has left, and the loop has not told it yet.
                self._schedule.finish(job.key)
            else:
                turn.set_result(None)

    def _let_go(self, job: Job) -> None:
        self._schedule.finish(job.key)
        self._start()

    def _learn(self, job: Job, stream: ThreadedStream[AudioChunk], audio_s: float) -> None:
        if stream.first_at is None or stream.ended_at is None:
            return
        first_audio_s = stream.first_at - stream.began_at
        took_s = stream.ended_at - stream.began_at
        self._schedule.pace.learn(job.characters, audio_s, first_audio_s, took_s)

    def _with_limit(self, chunk: AudioChunk) -> AudioChunk:
        limit = self._schedule.pace.characters(CONTENDED_PHRASE_S)
        return replace(chunk, next_max_chars=limit)

    def __del__(self) -> None:
        if hasattr(self, "_info"):
            self._backend.close()


def _joined(chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
    """The same audio and words in as few chunks as the rates allow."""
    for rate, alike in groupby(chunks, attrgetter("rate")):
        pieces = list(alike)
        words = tuple(word for piece in pieces for word in piece.words)
        yield AudioChunk(b"".join(piece.pcm for piece in pieces), rate, words)
