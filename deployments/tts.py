"""Text-to-speech as a Ray Serve deployment: a phrase in, its audio as it is made out.

A voice makes as many phrases at once as its backend has slots; the others wait, and `Schedule`
says who is next. A backend that clones also speaks with the voices that `Voices` keeps.
"""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedClassDecorator=false

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

from ray import serve
from ray.serve.config import RequestRouterConfig

from deployments import backends, process_metrics, stage_metrics, tracing
from deployments.backend_protocols import TextToSpeech
from deployments.contracts import (
    SPEECH_RATE,
    AudioChunk,
    BackendError,
    BadInput,
    Cloning,
    Overloaded,
    SpeechCapacity,
    SpeechRequest,
    StageInfo,
    Voice,
)
from deployments.loading import loading
from deployments.schedule import Job, Schedule
from deployments.threads import ThreadedStream
from deployments.voice_router import VoiceRouter
from deployments.voices import Voices, VoiceStore

MAX_WAITING = 64
"""Phrases that may wait for a slot: one a call of a full ingress replica."""

GATHER_S = 0.05
"""Items on a handle cost CPU at both ends: after a phrase's first, what a voice that is faster
than real time makes in this time goes as one. Less than the 80 ms a first chunk should last."""

CONTENDED_PHRASE_S = 1.2
"""Audio of a later phrase while others wait: so long does nobody wait for one."""

PREPARED_IN_S = 5.0
"""What a voice's registration may wait for a slot, behind the phrases that callers wait for."""


@serve.deployment(
    name="TextToSpeech",
    request_router_config=RequestRouterConfig(
        # A class, or the name of one, whatever the type checker makes of Ray's annotation.
        request_router_class=cast(Any, VoiceRouter)
    ),
)
class TextToSpeechDeployment:
    """One replica of the configured voice."""

    def __init__(
        self, backend: str, settings: dict[str, object], voices: VoiceStore | None = None
    ) -> None:
        self.serve_backend(backends.create("tts", backend, settings), voices)

    def serve_backend(self, backend: TextToSpeech, voices: VoiceStore | None = None) -> None:
        """Load a backend and serve it, with the registered voices if it can speak with them."""
        self._backend = backend
        cloning = cast("Cloning | None", getattr(backend, "cloning", None))
        with loading("tts"):
            info = backend.load()
            self._voices = Voices(voices or VoiceStore(), cloning, info.voices) if cloning else None
        self._info = replace(info, cloning=cloning)
        self._schedule = Schedule(self._info.slots, MAX_WAITING)
        self._turns: dict[int, asyncio.Future[None]] = {}
        self._keys = count()

    async def describe(self) -> StageInfo:
        """What is loaded. Answers only once it is."""
        return self._info

    def record_autoscaling_stats(self) -> dict[str, float]:
        """How long a first phrase would wait here, for `serve_app/autoscaling.py`."""
        forecast = self._schedule.forecast(asyncio.get_running_loop().time())
        return {"queue_age_ms": forecast.first_wait_s * 1000}

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
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        due_at = asked_at + request.slack_ms / 1000
        job = Job(next(self._keys), request.urgency, due_at, len(request.text))
        with tracing.span("tts.wait", request.trace), self._queued(job) as turn:
            if request.urgency == "speculative" and not turn.done():
                # So that it can be asked for again, as more urgent, once its turn is committed.
                yield AudioChunk(b"", SPEECH_RATE, queued=True)
                await turn
                yield AudioChunk(b"", SPEECH_RATE)
            await turn
        stream = ThreadedStream(partial(self._spoken, request))
        stream.ended.add_done_callback(lambda _: self._let_go(job))
        stage_metrics.phrase_waited(loop.time() - asked_at, request.urgency)
        audio_s, contended, gather_until = 0.0, False, 0.0
        try:
            with tracing.span("tts.speak", request.trace):
                async for first in stream:
                    contended = contended or self._schedule.contended
                    for chunk in _joined([first, *await stream.gathered(gather_until)]):
                        audio_s += chunk.duration_ms / 1000
                        yield self._with_limit(chunk) if contended else chunk
                    gather_until = loop.time() + GATHER_S
        finally:
            stream.stop()
        self._learn(job, stream, audio_s)

    async def voices(self) -> tuple[Voice, ...]:
        """The backend's own voices, then the registered ones. Raises CatalogueLost."""
        own = tuple(Voice(name) for name in self._info.voices)
        if self._voices is None:
            return own
        return own + tuple(await asyncio.to_thread(self._voices.registered))

    async def voices_of(self, owner: str) -> tuple[str, ...]:
        """The names of the voices that an owner registered. Raises CatalogueLost."""
        if self._voices is None:
            return ()
        return tuple(await asyncio.to_thread(self._voices.of, owner))

    async def voice_recording(self, name: str) -> bytes:
        """A registered voice's recording, a wav file. Raises BadInput, CatalogueLost."""
        return await asyncio.to_thread(self._cloned().recording, name)

    async def register_voice(self, name: str, wav: bytes, owner: str = "") -> Voice:
        """Keep a recording, mono int16 of 24 kHz, as a voice. Raises BadInput, CatalogueLost.

        From now on every replica that shares the store knows it.
        """
        voices = self._cloned()
        voice = await asyncio.to_thread(voices.register, name, wav, int(time.time()), owner)
        try:
            await self._prepare(name)
        except BackendError:
            await asyncio.to_thread(voices.delete, name)
            raise
        return voice

    async def delete_voice(self, name: str) -> None:
        """Forget a registered voice; phrases that speak with it end. Raises as above."""
        await asyncio.to_thread(self._cloned().delete, name)

    async def check_health(self) -> None:
        """Serve asks every few seconds: what other machines deleted goes here too."""
        process_metrics.tell()
        stage_metrics.speech_capacity(await self.capacity())
        if self._voices is not None:
            await asyncio.to_thread(self._voices.sweep)

    async def _prepare(self, name: str) -> None:
        """Let the backend make what a registered voice's first phrase needs, in a phrase's slot."""
        prepare = cast("Callable[[Path], None] | None", getattr(self._backend, "prepare", None))
        if prepare is None:
            return
        loop = asyncio.get_running_loop()
        job = Job(next(self._keys), "later", loop.time() + PREPARED_IN_S, 0)
        with self._queued(job) as turn:
            await turn
        made = loop.run_in_executor(None, self._prepare_held, prepare, name)
        made.add_done_callback(lambda _: self._let_go(job))
        # A cancelled registration leaves the thread at work, and the slot taken until it is done.
        await asyncio.shield(made)

    def _prepare_held(self, prepare: Callable[[Path], None], name: str) -> None:
        with self._cloned().held(SpeechRequest("", voice=name)) as held:
            prepare(Path(held.recording or ""))

    def _cloned(self) -> Voices:
        if self._voices is None:
            backend = self._info.backend
            raise BadInput(f"{backend} has voices of its own alone", "cloning_not_supported")
        return self._voices

    def _spoken(self, request: SpeechRequest) -> Iterator[AudioChunk]:
        if self._voices is None:
            yield from self._backend.speak(request)
            return
        with self._voices.held(request) as held:
            yield from self._backend.speak(held)

    @contextmanager
    def _queued(self, job: Job) -> Generator[asyncio.Future[None], None, None]:
        """Around the wait for a slot: done once the job has one, which `_let_go` gives back.

        Raises Overloaded where it gets none. Whoever leaves before the end has taken none.
        """
        turn = self._turns[job.key] = asyncio.get_running_loop().create_future()
        try:
            refused = self._schedule.submit(job)
            if refused is not None and not self._turns[refused.key].done():
                stage_metrics.refused("tts")
                self._turns[refused.key].set_exception(Overloaded("more urgent phrases wait"))
            self._start()
            yield turn
        except BaseException:
            self._schedule.withdraw(job.key)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._let_go(job)
            raise
        finally:
            del self._turns[job.key]

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
            if self._voices is not None:
                self._voices.close()


def _joined(chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
    """The same audio and words in as few chunks as the rates allow."""
    for rate, alike in groupby(chunks, attrgetter("rate")):
        pieces = list(alike)
        words = tuple(word for piece in pieces for word in piece.words)
        yield AudioChunk(b"".join(piece.pcm for piece in pieces), rate, words)
