"""What every voice owes its stage, whichever it is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from deployments import backends
from deployments.backend_protocols import TextToSpeech
from deployments.contracts import AudioChunk, BadInput, SpeechRequest, StageInfo
from tests.tiny import speaks_words

PHRASE = SpeechRequest("What would it mean to you if you got a long holiday?")


@pytest.fixture(scope="module")
def tts(tts_name: str, tts_settings: dict[str, object]) -> Iterator[tuple[TextToSpeech, StageInfo]]:
    """A loaded voice and what it says of itself."""
    backend = backends.create("tts", tts_name, tts_settings)
    yield backend, backend.load()
    backend.close()


def length_ms(chunks: list[AudioChunk]) -> float:
    """How long some audio is."""
    return sum(chunk.duration_ms for chunk in chunks)


def test_voice_says_what_it_is(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """It names itself."""
    assert tts[1].backend in backends.names("tts")


def test_voice_speaks(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """Chunks of one rate, as long as such a phrase is; words, where known, once and in order."""
    chunks = list(tts[0].speak(PHRASE))
    assert len({chunk.rate for chunk in chunks}) == 1
    assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)
    assert 1_500 < length_ms(chunks) < 6_000 or (chunks and not speaks_words(tts[1].backend))
    words = [PHRASE.text[w.start : w.end].strip("?") for chunk in chunks for w in chunk.words]
    assert words in ([], PHRASE.text.strip("?").split())


def test_voice_stops_when_closed(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """An interrupted phrase gives nothing more, and the next is whole."""
    whole = length_ms(list(tts[0].speak(PHRASE)))
    speaking = tts[0].speak(PHRASE)
    next(speaking)
    cast(Any, speaking).close()
    assert next(speaking, None) is None
    assert length_ms(list(tts[0].speak(PHRASE))) == pytest.approx(whole, abs=50)


def test_voices_at_once_do_not_mix(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """Two phrases in two threads are each as long as they are alone, within 50 ms."""
    phrases = [PHRASE, SpeechRequest("Yes.")]
    alone = [length_ms(list(tts[0].speak(phrase))) for phrase in phrases]
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda p: length_ms(list(tts[0].speak(p))), phrases))
    assert both == pytest.approx(alone, abs=50)


def test_voice_refuses_a_language_it_lacks(tts: tuple[TextToSpeech, StageInfo]) -> None:
    """One that says which languages it speaks refuses others, and speaks on."""
    if not tts[1].languages:
        return
    with pytest.raises(BadInput):
        list(tts[0].speak(SpeechRequest("Yes.", language="xx")))
    assert list(tts[0].speak(SpeechRequest("Yes.")))


@pytest.mark.parametrize(
    "text", ["", " ", "...", "\x00\ud800", "😀", "-5 is cold", "--help", "1" * 20]
)
def test_voice_takes_any_text(tts: tuple[TextToSpeech, StageInfo], text: str) -> None:
    """Nothing that could be in a reply's text harms it."""
    list(tts[0].speak(SpeechRequest(text)))
    assert list(tts[0].speak(SpeechRequest("Yes.")))


def test_closed_voice_loads_again(tts_name: str, tts_settings: dict[str, object]) -> None:
    """Closing frees; loading after it works."""
    backend = backends.create("tts", tts_name, tts_settings)
    backend.load()
    backend.close()
    assert backend.load().backend == tts_name
    backend.close()
