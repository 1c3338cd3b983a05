"""espeak: voices, word events, markup, and an engine that is always handed back."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployments.backends.tts_espeak import Espeak
from deployments.contracts import AudioChunk, BadInput, LoadFailed, SpeechRequest

LONG = "one two three four five. " * 2000


@pytest.fixture(scope="module")
def espeak() -> Espeak:
    """A loaded one."""
    backend = Espeak()
    backend.load()
    return backend


def words_of(text: str, chunks: list[AudioChunk]) -> list[str]:
    """The words that the audio says it speaks."""
    return [text[word.start : word.end] for chunk in chunks for word in chunk.words]


def timed_words(chunks: Iterable[AudioChunk]) -> list[object]:
    """How long the audio is, and where its words are: its noise differs from time to time."""
    made = list(chunks)
    return [sum(len(chunk.pcm) for chunk in made), *(word for c in made for word in c.words)]


def test_voices_are_espeaks_own() -> None:
    """Languages, and the default language's variants; the default voice is among them."""
    info = Espeak().load()
    assert {"en-us", "de", "fr-fr"} <= set(info.voices)
    assert info.details["voice"] in info.voices
    assert "cmn" in info.languages
    assert not any("+" in language for language in info.languages)


def test_every_listed_voice_speaks(espeak: Espeak) -> None:
    """Nothing is offered that cannot be had."""
    voices = espeak.load().voices
    assert len(voices) > 200
    silent = [v for v in voices if not list(espeak.speak(SpeechRequest("1 2", voice=v)))]
    assert silent == []


def test_each_word_is_placed_where_it_sounds(espeak: Espeak) -> None:
    """Whole words, in order, each within the chunk that it begins in."""
    text = "Hello, I don't know. It's 25 degrees."
    chunks = list(espeak.speak(SpeechRequest(text)))
    assert words_of(text, chunks) == ["Hello", "I", "don't", "know", "It's", "25", "degrees"]
    at_ms = 0.0
    for chunk in chunks:
        for word in chunk.words:
            assert at_ms - 1 <= word.at_ms <= at_ms + chunk.duration_ms
        at_ms += chunk.duration_ms
    assert chunks[0].words[0].at_ms == 0


@pytest.mark.parametrize(
    ("voice", "text", "words"),
    [
        ("de", "Das Mädchen über zwei Brücken.", ["Das", "Mädchen", "über", "zwei", "Brücken"]),
        ("fr-fr", "Ça va très bien, café.", ["Ça", "va", "très", "bien", "café"]),
        ("ru", "здесь был дом", ["здесь", "был", "дом"]),
    ],
)
def test_words_of_other_scripts(espeak: Espeak, voice: str, text: str, words: list[str]) -> None:
    """Positions count characters, not bytes."""
    chunks = list(espeak.speak(SpeechRequest(text, voice=voice)))
    assert words_of(text, chunks) == words


def test_chunks_are_long_enough(espeak: Espeak) -> None:
    """Only the first may be shorter than 40 ms, whatever the phrase."""
    for text in ("a", "yes", "Well, how are you?", "One. Two. Three."):
        chunks = list(espeak.speak(SpeechRequest(text)))
        assert all(chunk.duration_ms >= 40 for chunk in chunks[1:])
        assert {chunk.rate for chunk in chunks} == {22_050}


def test_speech_is_heard(espeak: Espeak) -> None:
    """The samples are loud, and not clipped to one sign."""
    pcm = b"".join(chunk.pcm for chunk in espeak.speak(SpeechRequest("hello there")))
    samples = np.frombuffer(pcm, np.int16)
    assert samples.max() > 3000
    assert samples.min() < -3000


def test_markup_is_not_interpreted(espeak: Espeak) -> None:
    """A tag is read out as text: it neither pauses for five seconds nor disappears."""
    text = 'wait <break time="60s"/> here'
    chunks = list(espeak.speak(SpeechRequest(text)))
    assert {"wait", "break", "here"} <= set(words_of(text, chunks))
    assert sum(chunk.duration_ms for chunk in chunks) < 20_000


def test_control_characters_are_not_commands(espeak: Espeak) -> None:
    """espeak's own "\\x01" commands would change the speed; here they are read as text."""

    def length_ms(text: str) -> float:
        return sum(chunk.duration_ms for chunk in espeak.speak(SpeechRequest(text)))

    assert length_ms("\x0180Sslow words here") > length_ms("slow words here")
    assert length_ms("good\x00 morning") > length_ms("good") * 1.3


@settings(max_examples=40, deadline=2000)
@given(st.text(alphabet=st.characters(), max_size=60))
@example("@0.0")  # espeak places its last word beyond the end
def test_any_text_is_spoken(espeak: Espeak, text: str) -> None:
    """No text breaks the voice; its words lie in the text, in order, and do not overlap."""
    spans = [
        (word.start, word.end, word.at_ms)
        for chunk in espeak.speak(SpeechRequest(text))
        for word in chunk.words
    ]
    end, at_ms = 0, 0
    for start, stop, word_ms in spans:
        assert end <= start < stop <= len(text)
        assert word_ms >= at_ms
        end, at_ms = stop, word_ms


@pytest.mark.parametrize("text", ["", "   ", "\n\t\x00"])
def test_nothing_to_say_is_no_audio(espeak: Espeak, text: str) -> None:
    """Blank text makes no chunk."""
    assert list(espeak.speak(SpeechRequest(text))) == []


@pytest.mark.parametrize("voice", ["alloy", "en-us+nobody", "", "+klatt", "../en", "en-us+../f2"])
def test_unknown_voice_is_refused(espeak: Espeak, voice: str) -> None:
    """A voice that espeak would quietly replace by another is the caller's mistake."""
    with pytest.raises(BadInput, match="no voice"):
        espeak.speak(SpeechRequest("hello", voice=voice))


def test_unknown_language_is_refused(espeak: Espeak) -> None:
    """A language without a voice is refused before any audio."""
    with pytest.raises(BadInput, match="does not speak"):
        espeak.speak(SpeechRequest("hello", language="tlh-KX"))


def test_unknown_default_voice_does_not_load() -> None:
    """A misspelled voice in the settings is found at once."""
    with pytest.raises(LoadFailed, match="nobody"):
        Espeak(voice="en-us+nobody").load()


def test_a_language_picks_a_voice(espeak: Espeak) -> None:
    """A language's voice, its region's where espeak has none of that; English keeps the default."""

    chosen = {
        language: espeak._voice_for(SpeechRequest("Brot", language=language))
        for language in ("de", "de-AT", "pt_BR", "en-GB", "en-US", "en", "EN-us")
    }
    default = Espeak().load().details["voice"]
    assert chosen == {
        "de": "de",
        "de-AT": "de",
        "pt_BR": "pt-br",
        "en-GB": "en-gb",
        "en-US": default,
        "en": default,
        "EN-us": default,
    }


def test_settings_are_heard(espeak: Espeak) -> None:
    """A faster voice says the same in less time; and the next phrase of another is not faster."""
    fast = Espeak(wpm=300)
    fast.load()
    request = SpeechRequest("how long does this sentence take")
    before = list(espeak.speak(request))
    quick = list(fast.speak(request))
    assert sum(c.duration_ms for c in quick) < 0.7 * sum(c.duration_ms for c in before)
    assert timed_words(espeak.speak(request)) == timed_words(before)


def test_closing_stops_the_voice(espeak: Espeak) -> None:
    """Half an hour of text is dropped at once, and the engine is free for the next phrase."""
    speech = espeak.speak(SpeechRequest(LONG))
    next(speech)
    speech.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "espeak"]
    assert list(espeak.speak(SpeechRequest("next")))


def test_a_slow_listener_does_not_hold_up_others(espeak: Espeak) -> None:
    """A phrase that is being listened to leaves the engine to another."""
    request = SpeechRequest("This is a sentence that nobody is in a hurry to hear.")
    alone = timed_words(espeak.speak(request))
    slow = espeak.speak(request)
    first = next(slow)
    assert list(espeak.speak(SpeechRequest("Others speak meanwhile.", voice="de")))
    assert timed_words([first, *slow]) == alone


def test_a_phrase_longer_than_the_queue_is_whole(espeak: Espeak) -> None:
    """The voice waits for the listener when the queue is full, and nothing is lost."""
    text = "one two three four five. " * 60
    chunks = list(espeak.speak(SpeechRequest(text)))
    assert words_of(text, chunks) == text.replace(".", "").split()
