"""What every recogniser owes its stage, whichever it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest
import soxr

from deployments import backends
from deployments.backend_protocols import IncrementalSpeechToText, SpeechToText
from deployments.contracts import (
    SPEECH_RATE,
    BadInput,
    LoadFailed,
    SpeechRequest,
    SpeechWindow,
    StageInfo,
    Transcript,
)
from tests.tiny import hears_words


@pytest.fixture(scope="module")
def stt(stt_name: str, stt_settings: dict[str, object]) -> Iterator[tuple[Any, StageInfo]]:
    """A loaded recogniser and what it says of itself."""
    backend = backends.create("stt", stt_name, stt_settings)
    yield backend, backend.load()
    backend.close()


@pytest.fixture(scope="module")
def speech() -> bytes:
    """Two seconds of speech as a recogniser takes it."""
    voice = backends.create("tts", "espeak", {})
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


def test_recogniser_says_what_it_is(stt: tuple[Any, StageInfo]) -> None:
    """The way it works is the way it says it works."""
    backend, info = stt
    assert info.backend in backends.names("stt")
    assert info.incremental == hasattr(backend, "open") != hasattr(backend, "transcribe")


def test_recogniser_hears(stt: tuple[Any, StageInfo], speech: bytes) -> None:
    """Speech becomes words; their times, where known, are in order and within the audio."""
    transcript = hear(*stt, speech)
    assert len(transcript.text.split()) >= 4 or not hears_words(stt[1].backend)
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


def test_recogniser_translates(stt: tuple[Any, StageInfo], speech: bytes) -> None:
    """What says that it does gives English text; what was asked before and after is as it was."""
    backend, info = stt
    if not info.translates:
        return
    first = hear(backend, info, speech)
    for seconds in (2, 32):
        pcm = (speech * 32)[: seconds * SPEECH_RATE * 2]
        [english] = backend.transcribe([SpeechWindow(pcm, final=True, task="translate")])
        assert english.language == "en"
        ends = [0, *(word.end_ms for word in english.words)]
        for word, end in zip(english.words, ends, strict=False):
            assert end <= word.start_ms < word.end_ms <= len(pcm) // 32 + 20
    assert heard(hear(backend, info, speech)) == heard(first)


def test_one_that_does_not_translate_is_not_asked(stt: tuple[Any, StageInfo]) -> None:
    """A recogniser with state has no way to be told."""
    _, info = stt
    assert not (info.translates and info.incremental)


@pytest.mark.parametrize("pcm", [b"", bytes(2), bytes(64_000)])
def test_recogniser_takes_silence(stt: tuple[Any, StageInfo], pcm: bytes) -> None:
    """No audio, one sample, and two seconds of silence are no error."""
    assert isinstance(hear(*stt, pcm), Transcript)


def test_recogniser_refuses_half_a_sample(stt: tuple[Any, StageInfo], speech: bytes) -> None:
    """An odd number of bytes is the caller's mistake, and harms nobody after it."""
    with pytest.raises(BadInput):
        hear(*stt, b"\x00\x01\x02")
    assert hear(*stt, speech).text or not hears_words(stt[1].backend)


def test_stream_is_given_up(stt: tuple[Any, StageInfo], speech: bytes) -> None:
    """A caller who hangs up in mid-stream harms nobody, however often it happens."""
    backend, info = stt
    expected = heard(hear(*stt, speech))
    for _ in range(3 if info.incremental else 0):
        stream = backend.open(None)
        stream.feed(speech[: len(speech) // 2 & ~1])
        stream.close()
    assert heard(hear(*stt, speech)) == expected


def test_no_threads_stay(stt_name: str, stt_settings: dict[str, object], speech: bytes) -> None:
    """Closing ends what threads the library started in Python."""
    before = set(threading.enumerate())
    backend = backends.create("stt", stt_name, stt_settings)
    hear(backend, backend.load(), speech)
    backend.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive(), thread.name


def test_recogniser_that_cannot_load_says_so(
    stt_name: str, stt_settings: dict[str, object]
) -> None:
    """A model that is not there is LoadFailed, whose message names it."""
    if "model" not in stt_settings:
        return
    backend = backends.create("stt", stt_name, {**stt_settings, "model": "/no/such/model"})
    with pytest.raises(LoadFailed, match="/no/such/model"):
        backend.load()


def test_closed_recogniser_loads_again(stt_name: str, stt_settings: dict[str, object]) -> None:
    """Closing frees; loading after it works."""
    backend = backends.create("stt", stt_name, stt_settings)
    backend.load()
    backend.close()
    assert backend.load().backend == stt_name
    backend.close()
