"""Whisper by OpenAI's own library, on PyTorch: one window at a time."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deployments.backends import register
from deployments.contracts import (
    SPEECH_RATE,
    BadInput,
    LoadFailed,
    Overloaded,
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
    duration_s,
    language_of,
    noise,
    samples,
    wants_words,
    was_taught_translation,
    words_in_order,
)
from deployments.torch_models import torch_device

_ENCODED_S = 30.0
"""What the encoder takes in at once. A longer window is decoded piece by piece."""


@register("stt", "openai-whisper", presets={"whisper": {}})
class OpenAIWhisper:
    """`model` is a size (`small.en`) or a checkpoint's path.

    `device`: `auto`, `cuda` or `cpu`. `language` None: detected, in each window that does not say.
    `fallback` goes on for a model that there is no memory for, at load or later; None is the next
    smaller one, an empty name none.
    """

    requires: ClassVar[tuple[str, ...]] = ("whisper",)
    packages: ClassVar[Mapping[str, str]] = {"whisper": "openai-whisper"}

    def __init__(
        self,
        *,
        model: str = "small.en",
        device: str = "auto",
        language: str | None = None,
        beam_size: int = 1,
        no_speech_threshold: float = 0.6,
        log_prob_threshold: float = -1.0,
        compression_ratio_threshold: float = 2.4,
        fallback: str | None = None,
    ) -> None:
        self._name = model
        self._device = device
        self._language = language
        self._beam_size = beam_size
        self._guards = Guards(no_speech_threshold, log_prob_threshold, compression_ratio_threshold)
        self._details: dict[str, str] = {}
        smaller = SMALLER_WHISPER if fallback is None else {model: fallback}
        self._fitted: Fitted[Any] = Fitted(self._load, _free, smaller, self._details)
        # The library hangs its caches on the model's layers, so two decodes would mix.
        self._decoding = threading.Lock()
        self._languages: tuple[str, ...] = ()
        self._translates = False

    def load(self) -> StageInfo:
        """Load the model and decode once in every way. Raises LoadFailed.

        `details` names the model in use, now and later: it may become a smaller one.
        """
        try:
            self._library = import_module("whisper")
            self._timing = import_module("whisper.timing")
            self._device = torch_device(self._device)
        except (ImportError, OSError) as error:
            raise LoadFailed(f"stt backend 'openai-whisper' has no library: {error}") from error
        self._fitted.load(self._name)
        self._details["device"] = self._device
        return StageInfo(
            backend="openai-whisper",
            languages=self._languages,
            translates=self._translates,
            details=self._details,
        )

    def transcribe(self, windows: Sequence[SpeechWindow]) -> list[Transcript]:
        """What each window says.

        Raises BadInput (half a sample, a language that the model lacks, a translation by a model
        that was fallen back to), Overloaded (a partial
        that would have to wait), BackendError.
        """
        return [
            self._fitted.run(lambda model, w=window: self._hear(model, w)) for window in windows
        ]

    def close(self) -> None:
        """Free the model."""
        self._fitted.close()

    def _load(self, name: str) -> Any:
        try:
            model = self._library.load_model(name, device=self._device)
        except (OSError, KeyError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise LoadFailed(
                f"stt model {name!r} did not load: {error}. `model` is a size such as small.en, "
                f"fetched once from OpenAI (without a network: from ~/.cache/whisper), or the path "
                f"of a checkpoint"
            ) from error
        known = self._library.tokenizer.LANGUAGES
        self._languages = tuple(known) if model.is_multilingual else ("en",)
        self._translates = model.is_multilingual and was_taught_translation(name)
        if self._language is not None and self._language not in self._languages:
            raise LoadFailed(f"stt model {name!r} does not know the language {self._language!r}")
        for final in (True, False):
            self._hear(model, SpeechWindow(noise(), final))
        return model

    def _hear(self, model: Any, window: SpeechWindow) -> Transcript:
        sound = samples(window.pcm)
        language = language_of(window, self._language, self._languages, self._name)
        if window.task == "translate" and not self._translates:
            raise BadInput(f"stt model {self._name!r} does not translate")
        if duration_s(window) < SHORTEST_S:
            return Transcript("", language=language)
        if not self._decoding.acquire(blocking=window.final):
            raise Overloaded("openai-whisper decodes one window at a time, and is at it")
        try:
            decode = self._whole if duration_s(window) <= _ENCODED_S else self._piecewise
            heard = decode(model, sound, language, window.task, wants_words(window))
            return replace(heard, language="en") if window.task == "translate" else heard
        finally:
            self._decoding.release()

    def _whole(
        self, model: Any, sound: NDArray[np.float32], language: str | None, task: Task, words: bool
    ) -> Transcript:
        """What a window says that the encoder takes in at once; without the model's timestamps."""
        library, seconds = self._library, len(sound) / SPEECH_RATE
        mel = library.log_mel_spectrogram(library.pad_or_trim(sound), model.dims.n_mels)
        options = library.DecodingOptions(
            task=task,
            language=language,
            beam_size=self._beam_size if self._beam_size > 1 else None,
            sample_len=min(math.ceil(seconds * MOST_TOKENS_PER_S), model.dims.n_text_ctx // 2),
            without_timestamps=True,
            fp16=self._device == "cuda",
        )
        heard = library.decode(model, mel.to(model.device), options)
        if not self._guards.believe(
            heard.avg_logprob, heard.no_speech_prob, heard.compression_ratio
        ):
            return Transcript("", language=heard.language)
        guesses: list[Guess] = []
        if words:
            tokenizer = self._tokenizer(model, heard.language, task)
            tokens = [token for token in heard.tokens if token < tokenizer.eot]
            frames = len(sound) // library.audio.HOP_LENGTH
            placed = self._timing.find_alignment(
                model, tokenizer, tokens, mel.to(model.device), frames
            )
            self._timing.merge_punctuations(placed, OPENING, CLOSING)
            guesses = [Guess(w.word, w.start, w.end, w.probability) for w in placed]
        return Transcript(heard.text.strip(), words_in_order(guesses, seconds), heard.language)

    def _piecewise(
        self, model: Any, sound: NDArray[np.float32], language: str | None, task: Task, words: bool
    ) -> Transcript:
        """What a window says that is longer than the encoder's."""
        heard = model.transcribe(
            sound,
            language=language,
            task=task,
            beam_size=self._beam_size if self._beam_size > 1 else None,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=words,
            fp16=self._device == "cuda",
        )
        said = [
            s
            for s in heard["segments"]
            if self._guards.believe(s["avg_logprob"], s["no_speech_prob"], s["compression_ratio"])
        ]
        guesses = [
            Guess(word["word"], word["start"], word["end"], word["probability"])
            for segment in said
            for word in segment.get("words", ())
        ]
        text = "".join(segment["text"] for segment in said).strip()
        in_order = words_in_order(guesses, len(sound) / SPEECH_RATE)
        return Transcript(text, in_order, heard["language"])

    def _tokenizer(self, model: Any, language: str, task: Task) -> Any:
        return self._library.tokenizer.get_tokenizer(
            model.is_multilingual,
            num_languages=model.num_languages,
            language=language,
            task=task,
        )


def _free(model: Any) -> None:
    """Leave nothing on the GPU, even if a thread still holds the model."""
    model.to("meta")
