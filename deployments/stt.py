"""Speech-to-text as a Ray Serve deployment: windows in, transcripts out; no model code."""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedClassDecorator=false

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import cast

from ray import serve

from deployments import backends, process_metrics, stage_metrics, tracing
from deployments.backend_protocols import IncrementalSpeechToText, Recogniser, SpeechToText
from deployments.contracts import Overloaded, SpeechWindow, StageInfo, StreamLost, Transcript
from deployments.gather import Gathered
from deployments.loading import loading

THREADS = 32

STREAM_IDLE_S = 5.0
"""A stream fed nothing for this long has lost its caller: partials come twice a second."""


@serve.deployment(name="SpeechToText")
class SpeechToTextDeployment:
    """One replica of the configured recogniser.

    THREADS windows are decoded at once; a partial that would have to wait is refused
    (Overloaded): it would come late, and keep a final waiting.
    """

    def __init__(self, backend: str, settings: dict[str, object]) -> None:
        self.serve_backend(backends.create("stt", backend, settings))

    def serve_backend(self, backend: SpeechToText | IncrementalSpeechToText) -> None:
        """Load a backend and serve it."""
        self._backend = backend
        with loading("stt"):
            self._info = backend.load()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stt")
        self._windows = _windows(backend, self._info, self._threads)
        self._running = 0

    async def describe(self) -> StageInfo:
        """What is loaded. Answers only once it is."""
        return self._info

    async def transcribe(self, window: SpeechWindow) -> Transcript:
        """The window's transcript. Raises BadInput, Overloaded, StreamLost."""
        if not window.final and self._running >= THREADS:
            stage_metrics.refused("stt")
            raise Overloaded("partials wait for nobody")
        self._running += 1
        began_at = time.monotonic()
        try:
            with tracing.span("stt.decode", window.trace):
                transcript = await self._windows.transcribe(window)
        finally:
            self._running -= 1
        stage_metrics.window_decoded(time.monotonic() - began_at, final=window.final)
        return transcript

    async def check_health(self) -> None:
        """Serve asks every few seconds."""
        process_metrics.tell()

    def __del__(self) -> None:
        if hasattr(self, "_threads"):
            self._threads.shutdown(wait=False)
            self._backend.close()


def _windows(
    backend: SpeechToText | IncrementalSpeechToText, info: StageInfo, threads: ThreadPoolExecutor
) -> _Windows | _Streams:
    if hasattr(backend, "open"):
        return _Streams(cast(IncrementalSpeechToText, backend), threads)
    return _Windows(cast(SpeechToText, backend), info.batch, threads)


class _Windows:
    """Windows that stand alone. Finals that come while others are decoded are decoded together."""

    def __init__(self, backend: SpeechToText, batch: int, threads: ThreadPoolExecutor) -> None:
        self._backend = backend
        self._threads = threads
        self._finals = Gathered(self._decode, batch) if batch > 1 else None

    async def transcribe(self, window: SpeechWindow) -> Transcript:
        if window.final and self._finals:
            return await self._finals(window)
        return (await self._decode([window]))[0]

    async def _decode(self, windows: list[SpeechWindow]) -> list[Transcript]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._backend.transcribe, windows)


@dataclass(slots=True)
class _Stream:
    recogniser: Recogniser
    fed: int = 0
    used_at: float = field(default_factory=time.monotonic)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    work: asyncio.Future[Transcript] | None = None


class _Streams:
    """The decoders of the callers who speak now, by stream id."""

    def __init__(self, backend: IncrementalSpeechToText, threads: ThreadPoolExecutor) -> None:
        self._backend = backend
        self._threads = threads
        self._streams: dict[str, _Stream] = {}

    async def transcribe(self, window: SpeechWindow) -> Transcript:
        """Continue (or at offset 0 begin) the window's stream with its samples."""
        loop = asyncio.get_running_loop()
        key = window.stream or f"window-{id(window)}"
        stream = await self._at(key, window)
        async with stream.turn:
            if stream.fed != window.offset or self._streams.get(key) is not stream:
                raise StreamLost(key)
            stream.fed += len(window.pcm) // 2
            stream.used_at = time.monotonic()
            stream.work = loop.run_in_executor(self._threads, _decode, stream.recogniser, window)
            try:
                # The thread goes on whatever happens here: what it holds is freed after it.
                transcript = await asyncio.shield(stream.work)
            except BaseException:
                self._forget(key, stream)
                raise
            if window.final or window.stream is None:
                self._forget(key, stream)
            return transcript

    async def _at(self, key: str, window: SpeechWindow) -> _Stream:
        stream = self._streams.get(key)
        if window.offset:
            if stream is None:
                raise StreamLost(key)
            return stream
        self._drop_idle()
        # Before the new one is opened: with a decoder for each caller, it is the only one.
        if stream is not None:
            self._forget(key, stream)
        stream = _Stream(await self._open(window.language))
        if replaced := self._streams.get(key):
            self._forget(key, replaced)
        self._streams[key] = stream
        return stream

    async def _open(self, language: str | None) -> Recogniser:
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(self._threads, self._backend.open, language)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)
            raise

    def _drop_idle(self) -> None:
        limit = time.monotonic() - STREAM_IDLE_S
        for key, stream in list(self._streams.items()):
            if stream.used_at < limit and not stream.turn.locked():
                self._forget(key, stream)

    def _forget(self, key: str, stream: _Stream) -> None:
        """Drop a stream, if that was not done; its recogniser is freed once no thread uses it."""
        if self._streams.get(key) is not stream:
            return
        del self._streams[key]
        if stream.work is None or stream.work.done():
            stream.recogniser.close()
        else:
            stream.work.add_done_callback(lambda _: stream.recogniser.close())


def _close_opened(opening: asyncio.Future[Recogniser]) -> None:
    if opening.exception() is None:
        opening.result().close()


def _decode(recogniser: Recogniser, window: SpeechWindow) -> Transcript:
    hypothesis = recogniser.feed(window.pcm) if window.pcm else Transcript("")
    return recogniser.finish() if window.final else hypothesis
