"""What every backend owes its stage, whichever it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, cast

import numpy as np
import pytest
import soxr

from deployments import backends
from deployments.backends import create
from deployments.contracts import (
    SPEECH_RATE,
    AudioChunk,
    BadInput,
    IncrementalSpeechToText,
    LanguageModel,
    Message,
    ReplyRequest,
    SpeechRequest,
    SpeechToText,
    SpeechWindow,
    StageInfo,
    TextDelta,
    TextToSpeech,
    Transcript,
)

EMBEDDED_STT = ["pocketsphinx", "timed"]
EMBEDDED_LLM = ["echo", "eliza", "timed"]
EMBEDDED_TTS = ["espeak", "timed"]
ASKED = ReplyRequest((Message("system", "Be kind."), Message("user", "i need a long holiday")))
PHRASE = SpeechRequest("What would it mean to you if you got a long holiday?")


@pytest.fixture(scope="module", params=EMBEDDED_STT)
def stt(request: pytest.FixtureRequest) -> Iterator[tuple[Any, StageInfo]]:
    """A loaded recogniser and what it says of itself."""
    backend = create("stt", request.param, {})
    yield backend, backend.load()
    backend.close()


@pytest.fixture(params=EMBEDDED_LLM)
async def llm(request: pytest.FixtureRequest) -> AsyncIterator[tuple[LanguageModel, StageInfo]]:
    """A loaded language model and what it says of itself."""
    backend = create("llm", request.param, {})
    yield backend, await backend.load()
    await backend.close()


@pytest.fixture(scope="module", params=EMBEDDED_TTS)
def tts(request: pytest.FixtureRequest) -> Iterator[tuple[TextToSpeech, StageInfo]]:
    """A loaded voice and what it says of itself."""
    backend = create("tts", request.param, {})
    yield backend, backend.load()
    backend.close()


@pytest.fixture(scope="module")
def speech() -> bytes:
    """Two seconds of speech as a recogniser takes it."""
    voice = create("tts", "espeak", {})
    voice.load()
    chunks = list(voice.speak(SpeechRequest("hello how are you today")))
    samples = np.frombuffer(b"".join(chunk.pcm for chunk in chunks), np.int16)
    return soxr.resample(samples, chunks[0].rate, SPEECH_RATE).astype(np.int16).tobytes()


def hear(backend: object, info: StageInfo, pcm: bytes) -> Transcript:
    """The final transcript, in whichever way the recogniser works."""
    if not info.incremental:
        return cast(SpeechToText, backend).transcribe([SpeechWindow(pcm, final=True)])[0]
    stream = cast(IncrementalSpeechToText, backend).open(None)
    try:
        for at in range(0, len(pcm), SPEECH_RATE):
            stream.feed(pcm[at : at + SPEECH_RATE])
        return stream.finish()
    finally:
        stream.close()


def heard(transcript: Transcript) -> list[object]:
    """Words and times; confidences differ in the fifth place from one decoder to another."""
    return [(word.text, word.start_ms, word.end_ms) for word in transcript.words] or [
        transcript.text
    ]


async def read(reply: AsyncIterator[TextDelta]) -> str:
    """A whole reply."""
    return "".join([delta.text async for delta in reply])


def length_ms(chunks: list[AudioChunk]) -> float:
    """How long some audio is."""
    return sum(chunk.duration_ms for chunk in chunks)


def test_every_backend_that_runs_here_is_tested() -> None:
    """openai needs a server and has tests of its own; all others are in these lists."""
    assert set(EMBEDDED_STT) <= set(backends.names("stt"))
    assert set(EMBEDDED_LLM) <= set(backends.names("llm"))
    assert set(EMBEDDED_TTS) <= set(backends.names("tts"))


def test_recogniser_says_what_it_is(stt: tuple[Any, StageInfo]) -> None:
    """The way it works is the way it says it works."""
    backend, info = stt
    assert info.backend in EMBEDDED_STT
    assert info.incremental == hasattr(backend, "open") != hasattr(backend, "transcribe")


def test_recogniser_hears(stt: tuple[Any, StageInfo], speech: bytes) -> None:
    """Speech becomes words; their times, where known, are in order and within the audio."""
    transcript = hear(*stt, speech)
    assert len(transcript.text.split()) >= 4
    ends = [0, *(word.end_ms for word in transcript.words)]
    for word, end in zip(transcript.words, ends, strict=False):
        assert end <= word.start_ms < word.end_ms <= len(speech) // 32 + 20
        assert 0 <= word.confidence <= 1


def test_recogniser_hears_the_same_again(stt: tuple[Any, StageInfo], speech: bytes) -> None:
    """Nothing that one caller said, or how loudly, changes what the next is heard to say."""
    first = hear(*stt, speech)
    noise = np.random.default_rng(1).integers(-20_000, 20_000, 48_000).astype(np.int16).tobytes()
    hear(*stt, noise)
    assert heard(hear(*stt, speech)) == heard(first)


def test_recogniser_hears_two_at_once(stt: tuple[Any, StageInfo], speech: bytes) -> None:
    """Two callers in two threads are each heard as if alone."""
    alone = hear(*stt, speech)
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda _: hear(*stt, speech), range(2)))
    assert [heard(transcript) for transcript in both] == [heard(alone)] * 2


@pytest.mark.parametrize("pcm", [b"", bytes(2), bytes(64_000)])
def test_recogniser_takes_silence(stt: tuple[Any, StageInfo], pcm: bytes) -> None:
    """No audio, one sample, and two seconds of silence are no error."""
    assert isinstance(hear(*stt, pcm), Transcript)


def test_recogniser_refuses_half_a_sample(stt: tuple[Any, StageInfo], speech: bytes) -> None:
    """An odd number of bytes is the caller's mistake, and harms nobody after it."""
    with pytest.raises(BadInput):
        hear(*stt, b"\x00\x01\x02")
    assert hear(*stt, speech).text


async def test_language_model_replies(llm: tuple[LanguageModel, StageInfo]) -> None:
    """A reply comes in several pieces, none empty."""
    backend, info = llm
    pieces = [delta.text async for delta in backend.reply(ASKED)]
    assert info.backend in EMBEDDED_LLM
    assert len(pieces) > 1
    assert all(pieces)
    assert "".join(pieces).strip()


async def test_closed_reply_is_over(llm: tuple[LanguageModel, StageInfo]) -> None:
    """An interrupted reply gives nothing more, and the next is whole."""
    backend, _ = llm
    async with aclosing(cast(Any, backend.reply(ASKED))) as reply:
        await anext(reply)
    with pytest.raises(StopAsyncIteration):
        await anext(reply)
    assert len(await read(backend.reply(ASKED))) > 5


async def test_replies_at_once_do_not_mix(llm: tuple[LanguageModel, StageInfo]) -> None:
    """What one caller said is not in another's reply."""
    backend, _ = llm
    others = ReplyRequest((Message("user", "i need some zebras"),))
    mine, theirs = await asyncio.gather(read(backend.reply(ASKED)), read(backend.reply(others)))
    assert "zebras" not in mine
    assert "holiday" not in theirs


def test_voice_says_what_it_is(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """It names itself."""
    assert tts[1].backend in EMBEDDED_TTS


def test_voice_speaks(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """Chunks of one rate, as long as such a phrase is, with each word once and in order."""
    chunks = list(tts[0].speak(PHRASE))
    assert len({chunk.rate for chunk in chunks}) == 1
    assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)
    assert 1_500 < length_ms(chunks) < 6_000
    words = [PHRASE.text[w.start : w.end].strip("?") for chunk in chunks for w in chunk.words]
    assert words == PHRASE.text.strip("?").split()


def test_voice_stops_when_closed(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """An interrupted phrase gives nothing more, and the next is whole."""
    speaking = tts[0].speak(PHRASE)
    next(speaking)
    cast(Any, speaking).close()
    assert next(speaking, None) is None
    assert length_ms(list(tts[0].speak(PHRASE))) > 1_500


def test_voices_at_once_do_not_mix(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """Two phrases in two threads are each as long as they are alone, within 50 ms."""
    phrases = [PHRASE, SpeechRequest("Yes.")]
    alone = [length_ms(list(tts[0].speak(phrase))) for phrase in phrases]
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda p: length_ms(list(tts[0].speak(p))), phrases))
    assert both == pytest.approx(alone, abs=50)


def test_closed_backends_load_again() -> None:
    """Closing frees; loading after it works."""
    for stage, name in (("stt", "pocketsphinx"), ("tts", "espeak")):
        backend = create(cast(Any, stage), name, {})
        backend.load()
        backend.close()
        assert backend.load().backend == name
        backend.close()
