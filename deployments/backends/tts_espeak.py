"""espeak-ng, from the espeakng-loader wheel: every language, any CPU, the time of every word.

libespeak-ng has one state for the whole process, so phrases are made one after another. A phrase
takes a thousandth of its own length, and its audio waits in a queue, so a caller who listens
slowly does not hold up the others.
"""

from __future__ import annotations

import ctypes
import queue
import re
import threading
from collections.abc import Generator, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, cast

from deployments.backends import register
from deployments.contracts import (
    AudioChunk,
    BackendError,
    BadInput,
    LoadFailed,
    SpeechRequest,
    SpokenWord,
    StageInfo,
)

_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_BUFFER_MS = 40
_RATE_PARAMETER, _PITCH_PARAMETER, _RANGE_PARAMETER = 1, 3, 4
_BY_CHARACTER = 1
_UTF8_PLAIN_TEXT = 1  # neither SSML (0x10) nor phonemes (0x100) are read
_LIST_END, _WORD = 0, 1
_LEAST_MS = 40
_QUEUED = 30_000 // _BUFFER_MS
"""Buffers that wait for a slow listener: 30 s of audio; then the voice waits (nothing is lost)."""

_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""NUL ends a C string, \\x01 starts a command to espeak, and surrogates have no UTF-8."""

_VISIBLE = re.compile(r"\S")

_engine = threading.Lock()
"""Held while anything is asked of libespeak-ng."""


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


_Words: TypeAlias = list[tuple[int, int, int]]
"""Position and length in the text, then the sample that the word begins at."""
_Made: TypeAlias = tuple[bytes, _Words]
"""What one callback brought."""
_Queue: TypeAlias = "queue.Queue[_Made | BackendError | None]"
"""Ends with None, or with what went wrong."""


@register("tts", "espeak")
class Espeak:
    """Speaks at `wpm` words a minute; `pitch` and `pitch_range` are espeak's, 0 to 99.

    A voice is a language code of espeak ("en-us", "de"), or one with a variant ("en-us+klatt4").
    """

    requires: ClassVar[tuple[str, ...]] = ("espeakng_loader",)

    def __init__(
        self,
        *,
        voice: str = "en-us+klatt4",
        wpm: int = 175,
        pitch: int = 50,
        pitch_range: int = 50,
    ) -> None:
        self._voice = voice
        self._parameters = (
            (_RATE_PARAMETER, wpm),
            (_PITCH_PARAMETER, pitch),
            (_RANGE_PARAMETER, pitch_range),
        )
        self._rate = 0
        self._files: dict[str, str] = {}
        self._variants: frozenset[str] = frozenset()

    def load(self) -> StageInfo:
        """Open the library and say a word. Raises LoadFailed."""
        with _engine:
            self._library, self._rate, data = _open()
            # Voices go by their file: espeak does not find each by the code that it lists.
            self._files = {
                code.lower(): file
                for code, file in _list(self._library, None)
                if _dictionary(data, file).exists()
            }
            files = [file for _, file in _list(self._library, b"variant")]
            self._variants = frozenset(file.removeprefix("!v/") for file in files)
        if not self._known(self._voice):
            raise LoadFailed(f"tts backend 'espeak' has no voice {self._voice!r}")
        for _ in self.speak(SpeechRequest("Ready.")):
            pass
        codes = tuple(sorted(self._files))
        code = self._voice.partition("+")[0]
        varied = tuple(f"{code}+{variant}" for variant in sorted(self._variants))
        return StageInfo(
            backend="espeak",
            voices=codes + varied,
            languages=codes,
            details={"voice": self._voice, "rate": str(self._rate)},
        )

    def speak(self, request: SpeechRequest) -> Generator[AudioChunk, None, None]:
        """The phrase in chunks of 40 ms or more, the first at once; markup is read as text.

        Raises BadInput for a voice or a language that espeak lacks.
        """
        voice = self._voice_for(request)
        text = _UNSPEAKABLE.sub(" ", request.text)
        return self._chunks(text, voice)

    def close(self) -> None:
        """Nothing to free: the library stays with the process."""

    def _chunks(self, text: str, voice: str) -> Generator[AudioChunk, None, None]:
        if not text.strip():
            return
        made: _Queue = queue.Queue(_QUEUED)
        stop = threading.Event()
        _engine.acquire()
        thread = threading.Thread(
            target=self._work, args=(text, voice, made, stop), name="espeak", daemon=True
        )
        try:
            thread.start()
        except BaseException:
            _engine.release()
            raise
        try:
            yield from _cut(_words_of(text, _taken(made)), self._rate)
        finally:
            stop.set()
            while thread.is_alive():  # it may be waiting for room in the queue
                while not made.empty():
                    made.get_nowait()
                thread.join(0.001)

    def _work(self, text: str, voice: str, made: _Queue, stop: threading.Event) -> None:
        """Make the whole phrase in this thread, which then lets the engine go."""
        end: BackendError | None = BackendError(f"espeak could not speak with voice {voice!r}")
        try:
            if self._synthesise(text, voice, made, stop):
                end = None
        finally:
            _engine.release()
            made.put(end)

    def _synthesise(self, text: str, voice: str, made: _Queue, stop: threading.Event) -> bool:
        def on_audio(pcm: int | None, samples: int, events: Any) -> int:
            if stop.is_set():
                return 1
            audio = ctypes.string_at(pcm, samples * 2) if pcm else b""
            made.put((audio, list(_word_events(events))))
            return 0

        callback = _Callback(on_audio)
        library = self._library
        code, plus, variant = voice.partition("+")
        if library.espeak_SetVoiceByName(f"{self._files[code]}{plus}{variant}".encode()) != 0:
            return False
        for parameter, value in self._parameters:
            library.espeak_SetParameter(parameter, value, 0)
        library.espeak_SetSynthCallback(callback)
        data = text.encode() + b"\0"
        size = ctypes.c_size_t(len(data))
        status = library.espeak_Synth(data, size, 0, _BY_CHARACTER, 0, _UTF8_PLAIN_TEXT, None, None)
        return status == 0

    def _voice_for(self, request: SpeechRequest) -> str:
        if request.voice is not None:
            if not self._known(request.voice):
                raise BadInput(f"espeak has no voice {request.voice!r}")
            return request.voice
        if request.language is None:
            return self._voice
        language = request.language.lower().replace("_", "-")
        own = self._voice.partition("+")[0]
        if language == own or language == own.partition("-")[0]:
            return self._voice
        fitting = (language, language.partition("-")[0])
        found = next((code for code in fitting if code in self._files), None)
        if found is None:
            raise BadInput(f"espeak does not speak {request.language!r}")
        return found

    def _known(self, voice: str) -> bool:
        code, plus, variant = voice.partition("+")
        return code in self._files and (not plus or variant in self._variants)


def _open() -> tuple[ctypes.CDLL, int, Path]:
    """The library (initialised), its sample rate and its data. Raises LoadFailed."""
    try:
        loader = import_module("espeakng_loader")
        data, path = cast(str, loader.get_data_path()), cast(str, loader.get_library_path())
        library = ctypes.CDLL(path)
    except (ImportError, OSError, RuntimeError) as error:
        raise LoadFailed(f"tts backend 'espeak' needs espeakng-loader: {error}") from error
    rate = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data.encode(), _DO_NOT_EXIT)
    if rate <= 0:
        raise LoadFailed(f"espeak cannot read its data at {data} (a path of at most 150 bytes)")
    return library, rate, Path(data)


def _dictionary(data: Path, file: str) -> Path:
    """The word list that a voice needs; a few listed voices come without."""
    return data / f"{file.rpartition('/')[2].partition('-')[0]}_dict"


def _list(library: ctypes.CDLL, kind: bytes | None) -> Iterator[tuple[str, str]]:
    """First language code and file of each voice, or of each variant."""
    wanted = _Voice(languages=ctypes.cast(ctypes.c_char_p(kind), ctypes.c_void_p))
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    found = library.espeak_ListVoices(ctypes.byref(wanted) if kind else None)
    index = 0
    while found[index]:
        voice = found[index].contents
        # A priority byte comes before the code.
        yield ctypes.string_at(voice.languages + 1).decode(), voice.identifier.decode()
        index += 1


def _word_events(events: Any) -> Iterator[tuple[int, int, int]]:
    index = 0
    while events[index].type != _LIST_END:
        event = events[index]
        if event.type == _WORD:
            yield event.text_position - 1, event.length, event.sample
        index += 1


def _taken(made: _Queue) -> Iterator[_Made]:
    while (item := made.get()) is not None:
        if isinstance(item, BackendError):
            raise item
        yield item


def _words_of(text: str, made: Iterable[_Made]) -> Iterator[_Made]:
    """Each piece of audio with its whole words as start, end, sample.

    espeak counts characters, but it places the first word of a sentence at the space before it,
    cuts "don't" at the apostrophe, says "25" as two words, and some words beyond the text's end.
    """
    spoken = 0
    for pcm, events in made:
        words: _Words = []
        for position, length, sample in events:
            end = position + length
            found = _VISIBLE.search(text, position)
            if found is None or found.start() < spoken or not length:
                continue
            start = found.start()
            spoken = min(max(end, start + 1), len(text))
            while spoken < len(text) and (text[spoken].isalnum() or text[spoken] in "'’"):
                spoken += 1
            words.append((start, spoken, sample))
        yield pcm, words


def _cut(pieces: Iterable[_Made], rate: int) -> Iterator[AudioChunk]:
    """Chunks of at least 40 ms from pieces of any length; only the first may be shorter."""
    least = rate * _LEAST_MS // 1000 * 2
    held, due = b"", _Words()
    sent = 0
    for pcm, words in pieces:
        held += pcm
        due += words
        # 40 ms are held back, so that the last chunk is never a sliver.
        ready = len(held) if not sent else len(held) - least
        if ready > 0 and (not sent or ready >= least):
            sent += ready
            chunk, held = held[:ready], held[ready:]
            yield _chunk(chunk, rate, [word for word in due if word[2] * 2 < sent])
            due = [word for word in due if word[2] * 2 >= sent]
    if held:
        yield _chunk(held, rate, due)


def _chunk(pcm: bytes, rate: int, words: _Words) -> AudioChunk:
    spoken = tuple(SpokenWord(start, end, sample * 1000 // rate) for start, end, sample in words)
    return AudioChunk(pcm=pcm, rate=rate, words=spoken)
