"""What every voice owes its stage, whichever it is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from deployments import backends
from deployments.contracts import AudioChunk, SpeechRequest, StageInfo, TextToSpeech
from tests.tiny import settings

PHRASE = SpeechRequest("What would it mean to you if you got a long holiday?")


@pytest.fixture(scope="module")
def tts(
    tts_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TextToSpeech, StageInfo]]:
    """A loaded voice and what it says of itself."""
    backend = backends.create("tts", tts_name, settings("tts", tts_name, tmp_path_factory))
    yield backend, backend.load()
    backend.close()


def length_ms(chunks: list[AudioChunk]) -> float:
    """How long some audio is."""
    return sum(chunk.duration_ms for chunk in chunks)


def test_voice_says_what_it_is(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """It names itself."""
    assert tts[1].backend in backends.names("tts")


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


def test_closed_voice_loads_again(tts_name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Closing frees; loading after it works."""
    backend = backends.create("tts", tts_name, settings("tts", tts_name, tmp_path_factory))
    backend.load()
    backend.close()
    assert backend.load().backend == tts_name
    backend.close()
