"""The voice's shell, without Ray: the undecorated class over a backend that blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from deployments.contracts import (
    AudioChunk,
    BadInput,
    Overloaded,
    SpeechRequest,
    SpokenWord,
    StageInfo,
    Urgency,
)
from deployments.schedule import Job
from deployments.tts import MAX_WAITING, TextToSpeechDeployment

PATIENCE_S = 5.0
Replica = cast(Any, TextToSpeechDeployment).func_or_class


class Voice:
    """A TextToSpeech of one chunk a word; if it `blocks`, its second step does until `go_on`."""

    def __init__(self, *, blocks: bool = False, slots: int | None = 1) -> None:
        self.blocks = blocks
        self.slots = slots
        self.spoken: list[str] = []
        self.steps = 0
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.stopped = threading.Event()
        self.closed = False

    def load(self) -> StageInfo:
        """See TextToSpeech."""
        return StageInfo("scripted", voices=("a",), slots=self.slots)

    def speak(self, request: SpeechRequest) -> Iterator[AudioChunk]:
        """See TextToSpeech."""
        if request.voice == "nobody":
            raise BadInput("no such voice")
        self.spoken.append(request.text)
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


def reading(
    replica: Any, text: str, urgency: Urgency = "first", slack_ms: float = 0.0
) -> asyncio.Task[list[AudioChunk]]:
    """Read a phrase to its end."""

    async def read() -> list[AudioChunk]:
        request = SpeechRequest(text, urgency=urgency, slack_ms=slack_ms)
        async with aclosing(replica.speak(request)) as chunks:
            return [chunk async for chunk in chunks]

    return asyncio.create_task(read())


async def busy(voice: Voice, replica: Any) -> asyncio.Task[list[AudioChunk]]:
    """A phrase that holds the voice's slot until `go_on`."""
    running = reading(replica, "keeps busy")
    assert await asyncio.to_thread(voice.entered.wait, PATIENCE_S)
    return running


async def until_waiting(replica: Any, number: int) -> None:
    """Let the phrases that were just asked for take their place."""
    await asyncio.sleep(0)
    assert (await replica.capacity()).waiting == number


async def test_a_phrase_is_spoken_chunk_by_chunk() -> None:
    """In the order they are made; the first does not wait for the second."""
    voice = Voice(blocks=True)
    chunks = serving(voice).speak(SpeechRequest("good morning you"))
    assert (await anext(chunks)).pcm == b"good"
    voice.go_on.set()
    assert b"".join([chunk.pcm async for chunk in chunks]) == b"morningyou"


async def test_chunks_that_are_made_meanwhile_go_as_one() -> None:
    """With the audio and the words of all; another rate begins another."""

    class Fast(Voice):
        def speak(self, request: SpeechRequest) -> Iterator[AudioChunk]:
            self.spoken.append(request.text)
            yield AudioChunk(b"aa", 16_000, (SpokenWord(0, 1, 0),))
            self.entered.set()
            assert self.go_on.wait(PATIENCE_S)
            yield AudioChunk(b"bb", 16_000, (SpokenWord(1, 2, 5),))
            yield AudioChunk(b"cc", 16_000, (SpokenWord(2, 3, 9),))
            yield AudioChunk(b"dd", 8_000)

    voice = Fast()
    chunks = serving(voice).speak(SpeechRequest("abc"))
    assert (await anext(chunks)).pcm == b"aa"
    voice.go_on.set()
    assert [chunk async for chunk in chunks] == [
        AudioChunk(b"bbcc", 16_000, (SpokenWord(1, 2, 5), SpokenWord(2, 3, 9))),
        AudioChunk(b"dd", 8_000),
    ]


async def test_a_cancelled_phrase_stops_after_the_step_it_is_in() -> None:
    """The reader is gone at once; the voice makes no third step."""
    voice = Voice(blocks=True)
    replica = serving(voice)

    async def read() -> None:
        async with aclosing(replica.speak(SpeechRequest("one two three four"))) as chunks:
            async for _ in chunks:
                pass

    task = asyncio.create_task(read())
    assert await asyncio.to_thread(voice.entered.wait, PATIENCE_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    voice.go_on.set()
    assert await asyncio.to_thread(voice.stopped.wait, PATIENCE_S)
    assert voice.steps == 2


async def test_a_voice_of_any_number_of_slots_lets_nobody_wait() -> None:
    """One phrase that blocks holds up no other."""
    voice = Voice(blocks=True, slots=None)
    replica = serving(voice)
    running = await busy(voice, replica)
    assert [chunk.pcm for chunk in await reading(replica, "hello")] == [b"hello"]
    voice.go_on.set()
    assert len(await running) == 2


async def test_a_voice_of_one_slot_makes_the_most_urgent_phrase_next() -> None:
    """First phrases, then by slack, then speculation, then what nobody waits for."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    waiting = [
        await busy(voice, replica),
        reading(replica, "nobody", "offline"),
        reading(replica, "perhaps", "speculative"),
        reading(replica, "much", "later", 2_000),
        reading(replica, "little", "later", 500),
        reading(replica, "now", "first"),
    ]
    await until_waiting(replica, 5)
    voice.go_on.set()
    await asyncio.gather(*waiting)
    assert voice.spoken == ["keeps busy", "now", "little", "much", "perhaps", "nobody"]


async def test_a_phrase_that_waits_is_gone_as_soon_as_it_is_cancelled() -> None:
    """It takes no slot later."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    running = await busy(voice, replica)
    waiting = reading(replica, "unwanted")
    await until_waiting(replica, 1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (await replica.capacity()).waiting == 0
    voice.go_on.set()
    await running
    assert len(await reading(replica, "next")) == 1
    assert voice.spoken == ["keeps busy", "next"]


async def test_a_running_phrase_that_is_cancelled_frees_its_slot_after_its_step() -> None:
    """The voice is never in two phrases: the next starts when the step is over."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    running = await busy(voice, replica)
    waiting = reading(replica, "next")
    await until_waiting(replica, 1)
    running.cancel()
    await asyncio.wait([running])
    assert (await replica.capacity()).running == 1
    assert voice.spoken == ["keeps busy"]
    voice.go_on.set()
    assert len(await waiting) == 1


async def test_a_slot_that_comes_with_the_cancellation_is_passed_on() -> None:
    """Both in one pass of the loop, in either order."""
    for cancel_first in (True, False):
        voice = Voice()
        replica = serving(voice)
        held = SpeechRequest("held", urgency="first")
        with replica._queued(Job(100, "first", 0.0, 4)) as turn:
            await turn
        waiting = reading(replica, held.text)
        await until_waiting(replica, 1)
        steps = [waiting.cancel, lambda: replica._let_go(Job(100, "first", 0.0, 4))]  # noqa: B023
        for step in steps if cancel_first else reversed(steps):
            step()
        await asyncio.wait([waiting])
        assert len(await reading(replica, "next")) == 1
        assert (await replica.capacity()).running == 0


async def test_a_speculative_phrase_says_that_it_waits_and_when_it_begins() -> None:
    """By chunks without audio; one that need not wait, or is committed, says nothing."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    running = await busy(voice, replica)
    waiting = [reading(replica, "perhaps", "speculative"), reading(replica, "now", "first")]
    await until_waiting(replica, 2)
    voice.go_on.set()
    await running
    perhaps, now = await asyncio.gather(*waiting)
    told = [(chunk.pcm, chunk.queued) for chunk in perhaps]
    assert told == [(b"", True), (b"", False), (b"perhaps", False)]
    assert [chunk.pcm for chunk in now] == [b"now"]
    at_once = await reading(replica, "hello", "speculative")
    assert [chunk.pcm for chunk in at_once] == [b"hello"]


async def test_a_speculative_phrase_that_is_left_while_it_waits_takes_no_slot() -> None:
    """Its reader closes it between the chunks: before its turn, and when that has come."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    running = await busy(voice, replica)
    early, late = (
        replica.speak(SpeechRequest(text, urgency="speculative")) for text in ("early", "late")
    )
    for chunks in (early, late):
        assert (await anext(chunks)).queued
    await early.aclose()
    assert (await replica.capacity()).waiting == 1
    voice.go_on.set()
    await running
    assert not (await anext(late)).queued
    await late.aclose()
    capacity = await replica.capacity()
    assert (capacity.running, capacity.waiting) == (0, 0)
    assert voice.spoken == ["keeps busy"]


async def test_too_many_phrases_cost_the_least_urgent() -> None:
    """A full queue refuses it, whether it waited or has just come."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    running = await busy(voice, replica)
    speculative = reading(replica, "perhaps", "speculative")
    waiting = [reading(replica, f"{number}") for number in range(MAX_WAITING - 1)]
    await until_waiting(replica, MAX_WAITING)
    waiting.append(reading(replica, "more"))
    with pytest.raises(Overloaded):
        await speculative
    with pytest.raises(Overloaded):
        await reading(replica, "perhaps", "speculative")
    voice.go_on.set()
    await asyncio.gather(running, *waiting)


async def test_while_others_wait_the_next_phrase_should_be_short() -> None:
    """The chunks say how short; without others they say nothing."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    running = await busy(voice, replica)
    waiting = reading(replica, "somebody waits", "later")
    await until_waiting(replica, 1)
    voice.go_on.set()
    limits = [chunk.next_max_chars for chunk in await running]
    assert limits == [None, 20]
    assert {chunk.next_max_chars for chunk in await waiting} == {None}


async def test_speculation_that_waits_shortens_nobody() -> None:
    """Only what is going to be heard counts."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    running = await busy(voice, replica)
    waiting = reading(replica, "perhaps", "speculative")
    await until_waiting(replica, 1)
    voice.go_on.set()
    assert [chunk.next_max_chars for chunk in await running] == [None, None]
    await waiting


async def test_a_replica_says_what_room_it_has() -> None:
    """Nothing waits at an idle one; a queue without slack is late."""
    voice = Voice(blocks=True)
    replica = serving(voice)
    idle = await replica.capacity()
    assert (idle.running, idle.waiting, idle.first_wait_ms, idle.late_ms) == (0, 0, 0, 0)
    running = await busy(voice, replica)
    waiting = reading(replica, "late by now", "later")
    await until_waiting(replica, 1)
    capacity = await replica.capacity()
    assert (capacity.running, capacity.waiting) == (1, 1)
    assert capacity.first_wait_ms > 0
    assert capacity.late_ms >= 100
    voice.go_on.set()
    await asyncio.gather(running, waiting)


async def test_the_pace_is_learnt_from_what_was_made() -> None:
    """A fast voice is soon known to be fast; a phrase that was cut off teaches nothing."""
    replica = serving(Voice())
    before = (await replica.capacity()).real_time_factor
    for _ in range(10):
        await reading(replica, "one two three")
    assert (await replica.capacity()).real_time_factor != before


async def test_a_phrase_without_words_frees_its_slot() -> None:
    """There is nothing to measure either."""
    replica = serving(Voice())
    assert await reading(replica, "") == []
    assert len(await reading(replica, "next")) == 1


async def test_what_the_voice_cannot_speak() -> None:
    """BadInput reaches the caller as it is, and the slot is free again."""
    replica = serving(Voice())
    with pytest.raises(BadInput):
        await anext(replica.speak(SpeechRequest("hi", voice="nobody")))
    assert len(await reading(replica, "next")) == 1


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
