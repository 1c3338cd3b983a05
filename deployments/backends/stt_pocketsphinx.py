"""CMU PocketSphinx: English on any CPU, its model in the wheel, decoded while the caller speaks."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from deployments.backends import register
from deployments.contracts import (
    BackendError,
    BadInput,
    LoadFailed,
    Overloaded,
    StageInfo,
    Transcript,
    Word,
)

_FRAME_MS = 10
_ALTERNATE = re.compile(r"\(\d+\)$")
_NOT_SPOKEN = ("<", "[", "+")
"""How sentence marks, silence and noises begin among the words."""


class _Segment(Protocol):
    word: str
    start_frame: int
    end_frame: int
    prob: float


class _Decoder(Protocol):
    def start_utt(self) -> None: ...
    def process_raw(self, data: bytes, no_search: bool, full_utt: bool) -> int: ...
    def end_utt(self) -> None: ...
    def seg(self) -> Iterable[_Segment] | None: ...
    def reinit_feat(self) -> None: ...


class _NGrams(Protocol):
    def prob(self, words: list[str]) -> int: ...


@register("stt", "pocketsphinx")
class Pocketsphinx:
    """A decoder for each stream, at most `max_streams` at once; they are kept and used again.

    `language_weight` and `word_penalty` weigh the language model against the sound; `beam` is
    how unlikely a path may be and still be followed (smaller: slower, more exact).
    `initial_mean` is the first cepstral mean that a stream starts from: how loud its first words
    are expected to be. Figures of all four are in docs/backends.md.
    """

    requires: ClassVar[tuple[str, ...]] = ("pocketsphinx",)

    def __init__(
        self,
        *,
        max_streams: int = 8,
        language_weight: float = 6.5,
        word_penalty: float = 0.65,
        beam: float = 1e-48,
        initial_mean: float = 55.0,
    ) -> None:
        self._max_streams = max_streams
        self._settings: dict[str, object] = {
            "lw": language_weight,
            "wip": word_penalty,
            "beam": beam,
            "cmninit": f"{initial_mean},3,-1",
            # A second pass would run when speech has ended and hold the interpreter, and so every
            # other stream, for 23 ms for each second of it.
            "fwdflat": False,
            "loglevel": "FATAL",
        }
        self._lock = threading.Lock()
        self._idle: list[_Decoder] = []
        self._made = 0
        self._words: tempfile.TemporaryDirectory[str] | None = None

    def load(self) -> StageInfo:
        """Read the model and make the first decoder. Raises LoadFailed."""
        try:
            library = import_module("pocketsphinx")
            self._words = tempfile.TemporaryDirectory(prefix="pocketsphinx-")
            dictionary = Path(self._words.name, "words.dict")
            dictionary.write_text("".join(_known_words(library)), encoding="utf-8")
            self._settings["dict"] = str(dictionary)
            self._new = cast(Callable[..., _Decoder], library.Decoder)
            warm = self.open(None)
            warm.feed(bytes(32_000))
            warm.close()
        except (ImportError, OSError, RuntimeError) as error:
            raise LoadFailed(f"stt backend 'pocketsphinx' did not load: {error}") from error
        return StageInfo(backend="pocketsphinx", incremental=True, languages=("en",))

    def open(self, language: str | None) -> PocketsphinxStream:
        """A decoder that has heard nothing. Raises BadInput (not English), Overloaded (none free).

        The first use of each further decoder takes a quarter of a second to make it.
        """
        if language is not None and not re.match("en($|[-_])", language.lower()):
            raise BadInput(f"pocketsphinx knows English, not {language!r}")
        with self._lock:
            decoder = self._idle.pop() if self._idle else None
            if decoder is None and self._made >= self._max_streams:
                raise Overloaded(f"all {self._max_streams} pocketsphinx decoders are in use")
            self._made += decoder is None
        try:
            return PocketsphinxStream(decoder or self._new(**self._settings), self._take_back)
        except BaseException:
            self._take_back(None)
            raise

    def close(self) -> None:
        """Free the decoders and the word list."""
        with self._lock:
            self._made -= len(self._idle)
            self._idle.clear()
        if self._words is not None:
            self._words.cleanup()
            self._words = None

    def _take_back(self, decoder: _Decoder | None) -> None:
        """Keep a decoder for the next stream; None: it was lost."""
        with self._lock:
            if decoder is None:
                self._made -= 1
            else:
                self._idle.append(decoder)


class PocketsphinxStream:
    """One stream's decoder."""

    def __init__(self, decoder: _Decoder, give_back: Callable[[_Decoder | None], None]) -> None:
        self._decoder = decoder
        self._give_back = give_back
        self._ended = False
        # A decoder learns the level and timbre of what it hears: none of it may reach the next.
        decoder.reinit_feat()
        decoder.start_utt()

    def feed(self, pcm: bytes) -> Transcript:
        """Decode the next samples; all that was heard so far. Raises BadInput for half a sample."""
        if len(pcm) % 2:
            raise BadInput("PCM of 16-bit samples cannot have an odd number of bytes")
        self._decoder.process_raw(pcm, False, False)
        return self._heard()

    def finish(self) -> Transcript:
        """The final transcript, from the best path through all that was considered."""
        self._ended = True
        self._decoder.end_utt()
        return self._heard()

    def close(self) -> None:
        """Hand the decoder back."""
        try:
            if not self._ended:
                self._decoder.end_utt()
        except RuntimeError as error:
            self._give_back(None)
            raise BackendError(f"a pocketsphinx decoder broke: {error}") from error
        self._give_back(self._decoder)

    def _heard(self) -> Transcript:
        words = tuple(
            Word(
                text=_ALTERNATE.sub("", segment.word),
                start_ms=segment.start_frame * _FRAME_MS,
                end_ms=(segment.end_frame + 1) * _FRAME_MS,
                confidence=min(max(segment.prob, 0.0), 1.0),
            )
            for segment in self._decoder.seg() or ()
            if not segment.word.startswith(_NOT_SPOKEN)
        )
        return Transcript(" ".join(word.text for word in words), words, language="en")


def _known_words(library: Any) -> Iterable[str]:
    """The dictionary's lines whose word the language model knows.

    The other 55 000 can never be recognised, and they make each decoder bigger and slower to make.
    """
    model = cast(_NGrams, library.NGramModel.readfile(library.get_model_path("en-us/en-us.lm.bin")))
    unknown = model.prob(["<no such word>"])
    path = Path(library.get_model_path("en-us/cmudict-en-us.dict"))
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        word = _ALTERNATE.sub("", line.split(maxsplit=1)[0])
        if model.prob([word]) != unknown:
            yield line
