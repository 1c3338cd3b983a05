"""The voice's shell, without Ray: the undecorated class over a backend that blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from deployments.contracts import AudioChunk, BadInput, SpeechRequest, StageInfo
from deployments.tts import TextToSpeechDeployment

PATIENCE_S = 5.0
Replica = cast(Any, TextToSpeechDeployment).func_or_class


class Voice:
    """A TextToSpeech of one chunk a word; the second step blocks until `go_on`."""

    def __init__(self, *, blocks: bool = False) -> None:
        self.blocks = blocks
        self.steps = 0
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.stopped = threading.Event()
        self.closed = False

    def load(self) -> StageInfo:
        """See TextToSpeech."""
        return StageInfo("scripted", voices=("a",))

    def speak(self, request: SpeechRequest) -> Iterator[AudioChunk]:
        """See TextToSpeech."""
        if request.voice == "nobody":
            raise BadInput("no such voice")
        try:
            for word in request.text.split():
                self.steps += 1
                if self.blocks and self.steps == 2:
                    self.entered.set()
                    assert self.go_on.wait(PATIENCE_S)
                yield AudioChunk(word.encode(), 16_000)
        finally:
            self.stopped.set()

    def close(self) -> None:
        """See TextToSpeech."""
        self.closed = True


def serving(voice: Voice) -> Any:
    """A replica over a backend."""
    replica = Replica.__new__(Replica)
    replica.serve_backend(voice)
    return replica


async def test_a_phrase_is_spoken_chunk_by_chunk() -> None:
    """In the order they are made."""
    replica = serving(Voice())
    chunks = [chunk.pcm async for chunk in replica.speak(SpeechRequest("good morning you"))]
    assert chunks == [b"good", b"morning", b"you"]


async def test_a_cancelled_phrase_stops_after_the_step_it_is_in() -> None:
    """The reader is gone at once; the voice makes no third step."""
    voice = Voice(blocks=True)
    replica = serving(voice)

    async def read() -> None:
        async with aclosing(replica.speak(SpeechRequest("one two three four"))) as chunks:
            async for _ in chunks:
                pass

    reading = asyncio.create_task(read())
    assert await asyncio.to_thread(voice.entered.wait, PATIENCE_S)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    voice.go_on.set()
    assert await asyncio.to_thread(voice.stopped.wait, PATIENCE_S)
    assert voice.steps == 2


async def test_phrases_do_not_wait_for_each_other() -> None:
    """One that blocks holds up nobody else."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    blocked = replica.speak(SpeechRequest("one two"))
    assert (await anext(blocked)).pcm == b"one"
    reading = asyncio.create_task(anext(blocked))
    assert await asyncio.to_thread(voice.entered.wait, PATIENCE_S)
    chunks = [chunk.pcm async for chunk in replica.speak(SpeechRequest("hello"))]
    assert chunks == [b"hello"]
    voice.go_on.set()
    assert (await reading).pcm == b"two"
    await blocked.aclose()


async def test_what_the_voice_cannot_speak() -> None:
    """BadInput reaches the caller as it is."""
    with pytest.raises(BadInput):
        await anext(serving(Voice()).speak(SpeechRequest("hi", voice="nobody")))


async def test_a_replica_says_what_it_serves_and_frees_it() -> None:
    """`describe` answers once loaded; a replica that goes closes its backend."""
    voice = Voice()
    replica = serving(voice)
    assert (await replica.describe()).voices == ("a",)
    replica.__del__()
    assert voice.closed


def test_a_replica_that_never_loaded_has_nothing_to_free() -> None:
    """Serve also deletes what failed to start."""
    Replica.__new__(Replica).__del__()
