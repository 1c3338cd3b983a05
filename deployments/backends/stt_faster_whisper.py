"""Whisper by faster-whisper (CTranslate2), on a GPU or a CPU; one decode for several finals."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deployments.backends import register
from deployments.contracts import (
    SPEECH_RATE,
    BadInput,
    LoadFailed,
    SpeechWindow,
    StageInfo,
    Task,
    Transcript,
)
from deployments.fallback import Fitted, is_out_of_memory
from deployments.speech import (
    CLOSING,
    MOST_TOKENS_PER_S,
    OPENING,
    SHORTEST_S,
    SMALLER_WHISPER,
    Guards,
    Guess,
    language_of,
    noise,
    samples,
    wants_words,
    was_taught_translation,
    words_in_order,
)

_ENCODED_S = 30.0
"""What the encoder takes in at once. A longer window is decoded by itself, piece by piece."""


@register(
    "stt",
    "faster-whisper",
    presets={
        "small.en": {"model": "small.en"},
        "base": {"model": "base"},
        "base.en": {"model": "base.en"},
        "large-v3": {"model": "large-v3"},
        "turbo": {"model": "large-v3-turbo"},
    },
)
class FasterWhisper:
    """`model` is a size (`small.en`), a hub id, or a folder with a converted model.

    `device`: `auto`, `cuda` or `cpu`. `compute_type` None: float16 on a GPU, int8 on a CPU.
    `language` None: detected, in each window that does not say. `num_workers` decodes run at once;
    on a GPU one of them may hold `batch` finals. `fallback` goes on for a model that there is no
    memory for, at load or later; None is the next smaller one, an empty name none.
    """

    requires: ClassVar[tuple[str, ...]] = ("faster_whisper",)

    def __init__(
        self,
        *,
        model: str = "small.en",
        device: str = "auto",
        compute_type: str | None = None,
        language: str | None = None,
        cpu_threads: int = 0,
        num_workers: int = 2,
        batch: int = 8,
        beam_size: int = 1,
        no_speech_threshold: float = 0.6,
        log_prob_threshold: float = -1.0,
        compression_ratio_threshold: float = 2.4,
        fallback: str | None = None,
    ) -> None:
        self._name = model
        self._device = device
        self._compute_type = compute_type
        self._threads = {"cpu_threads": cpu_threads, "num_workers": num_workers}
        self._batch = batch
        guards = Guards(no_speech_threshold, log_prob_threshold, compression_ratio_threshold)
        self._wrap = partial(_Model, language=language, beam_size=beam_size, guards=guards)
        self._details: dict[str, str] = {}
        smaller = SMALLER_WHISPER if fallback is None else {model: fallback}
        self._fitted = Fitted(self._load, _Model.free, smaller, self._details)

    def load(self) -> StageInfo:
        """Load the model and decode once in every way. Raises LoadFailed.

        `details` names the model in use, now and later: it may become a smaller one.
        """
        try:
            self._library = import_module("faster_whisper")
            if self._device == "auto":
                gpus = import_module("ctranslate2").get_cuda_device_count()
                self._device = "cuda" if gpus else "cpu"
        except (ImportError, OSError) as error:
            raise LoadFailed(f"stt backend 'faster-whisper' has no library: {error}") from error
        if self._device == "cuda":
            _preload_cublas()
        else:
            # A CPU decodes windows one after another as fast as together.
            self._batch = 1
        model = self._fitted.load(self._name)
        self._details["device"] = self._device
        return StageInfo(
            backend="faster-whisper",
            languages=model.languages,
            batch=self._batch,
            translates=model.translates,
            details=self._details,
        )

    def transcribe(self, windows: Sequence[SpeechWindow]) -> list[Transcript]:
        """What each window says; in one decode, where their languages and uses allow it.

        Raises BadInput (half a sample, a language that the model lacks, a translation by a model
        that was fallen back to), BackendError.
        """
        return self._fitted.run(lambda model: model.transcribe(windows))

    def close(self) -> None:
        """Free the model."""
        self._fitted.close()

    def _load(self, name: str) -> _Model:
        compute_type = self._compute_type or ("float16" if self._device == "cuda" else "int8")
        try:
            whisper = self._library.WhisperModel(
                name, device=self._device, compute_type=compute_type, **self._threads
            )
        except (OSError, ValueError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise LoadFailed(
                f"stt model {name!r} did not load: {error}. `model` is a size such as small.en, or "
                f"a hub id, fetched once from the Hugging Face hub (without a network: from the "
                f"cache at HF_HOME), or a folder with a converted model"
            ) from error
        model = self._wrap(name, whisper)
        model.transcribe([SpeechWindow(noise(), final=True)] * self._batch)
        model.transcribe([SpeechWindow(noise(), final=False)])
        self._details["compute_type"] = compute_type
        return model


class _Model:
    """A loaded model and how it decodes: greedily or by beams, never by chance."""

    def __init__(
        self, name: str, whisper: Any, *, language: str | None, beam_size: int, guards: Guards
    ) -> None:
        self.name = name
        self.languages: tuple[str, ...] = tuple(whisper.supported_languages)
        self.translates: bool = whisper.model.is_multilingual and was_taught_translation(name)
        self._whisper = whisper
        self._parts = import_module("faster_whisper.transcribe")
        self._beam_size = beam_size
        self._guards = guards
        self._language = language
        if language is not None and language not in self.languages:
            raise LoadFailed(f"stt model {name!r} does not know the language {language!r}")

    def transcribe(self, windows: Sequence[SpeechWindow]) -> list[Transcript]:
        """What each window says."""
        heard = [Transcript("")] * len(windows)
        together: dict[tuple[str | None, Task, bool], list[int]] = {}
        sounds = [samples(window.pcm) for window in windows]
        for at, (window, sound) in enumerate(zip(windows, sounds, strict=True)):
            language = language_of(window, self._language, self.languages, self.name)
            if window.task == "translate" and not self.translates:
                raise BadInput(f"stt model {self.name!r} does not translate")
            if len(sound) > _ENCODED_S * SPEECH_RATE:
                heard[at] = self._piecewise(sound, language, window.task, wants_words(window))
            elif len(sound) >= SHORTEST_S * SPEECH_RATE:
                together.setdefault((language, window.task, wants_words(window)), []).append(at)
        for (language, task, words), members in together.items():
            said = self._together([sounds[at] for at in members], language, task, words)
            for at, transcript in zip(members, said, strict=True):
                heard[at] = transcript
        return heard

    def free(self) -> None:
        """Give the memory back, once no thread decodes."""
        self._whisper.model.unload_model()

    def _together(
        self, sounds: list[NDArray[np.float32]], language: str | None, task: Task, words: bool
    ) -> list[Transcript]:
        """What windows of one language say, in one decode without the model's timestamps."""
        whisper, parts = self._whisper, self._parts
        mels = [whisper.feature_extractor(sound)[:, :-1] for sound in sounds]
        encoded = whisper.encode(np.stack([parts.pad_or_trim(mel) for mel in mels]))
        if language is None:
            # From "<|en|>", the first of a list that begins with the likeliest.
            found = [best[0][0][2:-2] for best in whisper.model.detect_language(encoded)]
            if len(set(found)) > 1:
                each = zip(sounds, found, strict=True)
                return [self._together([sound], spoken, task, words)[0] for sound, spoken in each]
            language = found[0]
        tokenizer = parts.Tokenizer(
            whisper.hf_tokenizer,
            whisper.model.is_multilingual,
            task=task,
            language=language,
        )
        prompt = whisper.get_prompt(tokenizer, [], without_timestamps=True)
        longest_s = max(len(sound) for sound in sounds) / SPEECH_RATE
        results = whisper.model.generate(
            encoded,
            [prompt] * len(sounds),
            beam_size=self._beam_size,
            # The library decodes half as many tokens as this, or what the prompt leaves of it.
            max_length=min(2 * math.ceil(longest_s * MOST_TOKENS_PER_S), whisper.max_length),
            suppress_tokens=parts.get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = [[t for t in result.sequences_ids[0] if t < tokenizer.eot] for result in results]
        placed: list[list[Any]] = [[] for _ in sounds]
        if words:
            frames = [min(mel.shape[-1], 3000) for mel in mels]
            placed = whisper.find_alignment(tokenizer, tokens, encoded, frames)
        language = _written(language, task)
        return [
            self._transcript(result, tokenizer.decode(said), words_at, language, len(sound))
            for result, said, words_at, sound in zip(results, tokens, placed, sounds, strict=True)
        ]

    def _transcript(
        self, result: Any, text: str, placed: list[Any], language: str | None, length: int
    ) -> Transcript:
        tokens = len(result.sequences_ids[0])
        log_prob = result.scores[0] * tokens / (tokens + 1)
        repetition = self._parts.get_compression_ratio(text)
        if not self._guards.believe(log_prob, result.no_speech_prob, repetition):
            return Transcript("", language=language)
        self._parts.merge_punctuations(placed, OPENING, CLOSING)
        guesses = [Guess(w["word"], w["start"], w["end"], w["probability"]) for w in placed]
        return Transcript(text.strip(), words_in_order(guesses, length / SPEECH_RATE), language)

    def _piecewise(
        self, sound: NDArray[np.float32], language: str | None, task: Task, words: bool
    ) -> Transcript:
        """What a window says that is longer than the encoder's."""
        segments, info = self._whisper.transcribe(
            sound,
            language=language,
            task=task,
            beam_size=self._beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=words,
        )
        said = [
            s
            for s in segments
            if self._guards.believe(s.avg_logprob, s.no_speech_prob, s.compression_ratio)
        ]
        guesses = [
            Guess(word.word, word.start, word.end, word.probability)
            for segment in said
            for word in segment.words or ()
        ]
        text = "".join(segment.text for segment in said).strip()
        in_order = words_in_order(guesses, len(sound) / SPEECH_RATE)
        return Transcript(text, in_order, _written(info.language, task))


def _written(language: str | None, task: Task) -> str | None:
    """The language of a text, by that of the speech."""
    return "en" if task == "translate" else language


def _preload_cublas() -> None:
    """Load CUDA 12's cuBLAS, which CTranslate2 opens by name; PyTorch brings CUDA 13's."""
    found = find_spec("nvidia.cublas") if find_spec("nvidia") else None
    folders: Iterable[str] = found.submodule_search_locations or () if found else ()
    for library in ("libcublasLt.so.12", "libcublas.so.12"):
        paths = [path for folder in folders if (path := Path(folder, "lib", library)).exists()]
        if not paths:
            raise LoadFailed(
                f"stt backend 'faster-whisper' needs {library} on a GPU: pip install "
                f"nvidia-cublas-cu12, or set `device` to cpu"
            )
        try:
            ctypes.CDLL(str(paths[0]), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise LoadFailed(f"{paths[0]} does not load: {error}") from error
