"""What a backend is to the shell that runs it: one protocol a kind. The ingress knows none of them.

Imports the standard library alone, as the contracts do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol, runtime_checkable

from deployments.contracts import (
    AudioChunk,
    ReplyItem,
    ReplyRequest,
    SpeechRequest,
    SpeechWindow,
    StageInfo,
    Transcript,
)


class SpeechToText(Protocol):
    """Transcribes whole windows. Methods may block: the shell runs them in threads."""

    def load(self) -> StageInfo:
        """Load and warm the model. Raises LoadFailed."""
        ...

    def transcribe(self, windows: Sequence[SpeechWindow]) -> list[Transcript]:
        """One transcript a window, in order. Raises BadInput."""
        ...

    def close(self) -> None:
        """Free what `load` took."""
        ...


class Recogniser(Protocol):
    """One stream's decoder state, used by one thread at a time."""

    def feed(self, pcm: bytes) -> Transcript:
        """Decode the next samples; the hypothesis so far."""
        ...

    def finish(self) -> Transcript:
        """The final transcript; the recogniser is not used after."""
        ...

    def close(self) -> None:
        """Drop the stream's state. Called once, after `finish` or in its place."""
        ...


class IncrementalSpeechToText(Protocol):
    """A recogniser with state, for which decoding as the caller speaks beats whole windows."""

    def load(self) -> StageInfo:
        """Load and warm the model; the info has `incremental=True`. Raises LoadFailed."""
        ...

    def open(self, language: str | None) -> Recogniser:
        """A fresh stream. Raises BadInput, Overloaded."""
        ...

    def close(self) -> None:
        """Free what `load` took."""
        ...


class LanguageModel(Protocol):
    """Writes replies. Runs on the event loop and must not block it."""

    async def load(self) -> StageInfo:
        """Load and warm the model. Raises LoadFailed."""
        ...

    def reply(self, request: ReplyRequest) -> AsyncIterator[ReplyItem]:
        """The reply as it is written. Closing the iterator stops the work. Raises BadInput."""
        ...

    async def close(self) -> None:
        """Free what `load` took."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A backend that can die while its replica lives: its engine is a process of its own."""

    async def check_health(self) -> None:
        """Raises BackendError where nothing but a new replica helps."""
        ...


@runtime_checkable
class Queued(Protocol):
    """A backend whose engine has a queue of its own."""

    @property
    def unfinished(self) -> int:
        """Replies that it was given and has not done with, running or waiting."""
        ...


class TextToSpeech(Protocol):
    """Speaks phrases. Methods may block: the shell runs them in threads.

    One that speaks with registered voices has an attribute `cloning: Cloning | None`, which the
    shell reads once it is loaded. It may have `prepare(recording: Path)`, to make what a voice's
    first phrase needs: raises BadInput for a recording that it cannot use.
    """

    def load(self) -> StageInfo:
        """Load and warm the model. Raises LoadFailed."""
        ...

    def speak(self, request: SpeechRequest) -> Iterator[AudioChunk]:
        """The phrase's audio as it is made. Closing it stops the work. Raises BadInput."""
        ...

    def close(self) -> None:
        """Free what `load` took."""
        ...
