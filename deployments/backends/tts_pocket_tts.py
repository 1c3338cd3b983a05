"""Kyutai's Pocket TTS: streams faster than real time on two cores of a CPU, and clones voices."""

from __future__ import annotations

import hashlib
import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Generator, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from deployments.backends import register
from deployments.contracts import (
    AudioChunk,
    BadInput,
    Cloning,
    LoadFailed,
    SpeechRequest,
    StageInfo,
)
from deployments.language_tags import primary_language

_State: TypeAlias = dict[str, dict[str, object]]
"""What the model made of a voice; some 10 MB."""

_STATES_KEPT = 16
"""Voices in memory; the one used longest ago is dropped for the next."""

_LANGUAGES = {
    "english": "en",
    "french": "fr",
    "german": "de",
    "portuguese": "pt",
    "italian": "it",
    "spanish": "es",
    "dutch": "nl",
}

_TALKATIVE = "pocket_tts.models.text_chunking"
"""The library's logger that would put a caller's text into the log."""


@register(
    "tts",
    "pocket-tts",
    presets={
        "pocket-tts-18m": {"model": "english_18m_2026-10"},
        "pocket-tts-french": {"model": "french_24l"},
        "pocket-tts-german": {"model": "german"},
    },
)
class PocketTextToSpeech:
    """Speaks with `model`: one of the library's, or a YAML file (local or hf://) of another.

    `voice` is the default one: one of the library's names, or a recording (a path, or hf://);
    None is the model's own default. `quantize` takes half the memory. Words have no times.
    Registered voices need the weights with cloning, whose terms must be accepted at the hub.
    """

    requires: ClassVar[tuple[str, ...]] = ("pocket_tts",)
    cloning: Cloning | None = Cloning(min_s=3.0)

    def __init__(
        self,
        *,
        model: str = "english",
        voice: str | None = None,
        temperature: float | None = None,
        quantize: bool = False,
    ) -> None:
        self._name = model
        self._custom = model.endswith((".yaml", ".yml")) or model.startswith("hf://")
        self._language = _LANGUAGES.get(model.partition("_")[0])
        self._default = voice
        self._temperature = temperature
        self._quantize = quantize
        # The model serves one thread at a time.
        self._one = threading.Lock()
        self._states: OrderedDict[str, _State] = OrderedDict()

    def load(self) -> StageInfo:
        """Load, fetching from the hub what is not cached yet, and speak once. Raises LoadFailed."""
        try:
            self._library = cast("_Library", import_module("pocket_tts"))
            self._voices = self._own_voices()
            where = {"config" if self._custom else "language": self._name}
            self._model: _Model | None = self._library.TTSModel.load_model(
                temp=self._temperature, quantize=self._quantize, **where
            )
            logging.getLogger(_TALKATIVE).setLevel(logging.ERROR)
            self._default_state = self._prompted(self._default or self._default_voice())
            for _ in self.speak(SpeechRequest("Hello.")):
                pass
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise LoadFailed(
                f"tts backend 'pocket-tts' cannot load {self._name!r}: {error}. What it lacks is "
                "fetched from the hub: run it once with a network, or use an embedded voice"
            ) from error
        if not self._model.has_voice_cloning:
            self.cloning = None
        return StageInfo(
            backend="pocket-tts",
            voices=self._voices,
            languages=() if self._language is None else (self._language,),
            details={"model": self._name, "rate": str(self._model.sample_rate)},
        )

    def speak(self, request: SpeechRequest) -> Generator[AudioChunk, None, None]:
        """The phrase, 80 ms or more at a time. Raises BadInput: an unknown voice or language."""
        self._check_language(request.language)
        # Half of a surrogate pair is no character, and the tokenizer takes none.
        text = request.text.encode(errors="ignore").decode()
        if not any(character.isalnum() for character in text):
            return
        with self._one:
            assert self._model is not None
            state = self._state_of(request)
            stop = threading.Event()
            made = self._model.generate_audio_stream(state, text, stop=stop)
            try:
                for samples in made:
                    yield AudioChunk(_pcm(samples.numpy()), self._model.sample_rate)
            finally:
                stop.set()
                # The model's two threads are done once nothing more comes from them.
                for _ in made:
                    pass

    def prepare(self, recording: Path) -> None:
        """Have what the model makes of a registered voice at hand."""
        with self._one:
            self._state_of(SpeechRequest("", recording=str(recording)))

    def close(self) -> None:
        """Free the model and the voices."""
        with self._one:
            self._model = None
            self._states.clear()
            self._default_state = {}

    def _own_voices(self) -> tuple[str, ...]:
        """The names of the library's voices; they are made for its own models alone."""
        if self._custom:
            return ()
        names = import_module("pocket_tts.utils.utils")._ORIGINS_OF_PREDEFINED_VOICES
        return tuple(sorted(cast("dict[str, str]", names)))

    def _default_voice(self) -> str:
        defaults = cast("_Defaults", import_module("pocket_tts.default_parameters"))
        config = self._name if self._custom else None
        return defaults.get_default_voice_for_language(self._name, config)

    def _check_language(self, language: str | None) -> None:
        if language is None or self._language is None:
            return
        if primary_language(language) != self._language:
            raise BadInput(f"pocket-tts speaks {self._language!r} with this model")

    def _state_of(self, request: SpeechRequest) -> _State:
        if request.recording is None and request.voice is None:
            return self._default_state
        key = request.recording or request.voice or ""
        if key not in self._states:
            if request.recording is not None:
                state = self._cloned(Path(request.recording))
            elif key in self._voices:
                state = self._prompted(key)
            else:
                raise BadInput(f"pocket-tts has no voice {key[:64]!r}", "voice_not_found")
            self._states[key] = state
            if len(self._states) > _STATES_KEPT:
                self._states.popitem(last=False)
        self._states.move_to_end(key)
        return self._states[key]

    def _cloned(self, recording: Path) -> _State:
        """A registered voice; what the model makes of it is kept beside the recording."""
        made_by = f"{version('pocket-tts')} {self._name}"
        digest = hashlib.sha256(made_by.encode()).hexdigest()[:16]
        kept = recording.with_name(f"pocket-tts-{digest}.safetensors")
        if kept.exists():
            return self._prompted(kept)
        state = self._prompted(recording)
        partial = kept.with_name(f"pocket-tts-{uuid.uuid4().hex}.partial")
        self._library.export_model_state(state, partial)
        partial.replace(kept)
        return state

    def _prompted(self, voice: str | Path) -> _State:
        assert self._model is not None
        if isinstance(voice, str) and voice not in self._voices and "://" not in voice:
            voice = Path(voice)
        return self._model.get_state_for_audio_prompt(voice)


class _Samples(Protocol):
    def numpy(self) -> NDArray[np.float32]: ...


class _Model(Protocol):
    """The part of the library's model that is used here."""

    sample_rate: int
    has_voice_cloning: bool

    def get_state_for_audio_prompt(self, audio_conditioning: str | Path) -> _State: ...

    def generate_audio_stream(
        self, model_state: _State, text_to_generate: str, *, stop: threading.Event
    ) -> Iterator[_Samples]: ...


class _Models(Protocol):
    def load_model(self, *, temp: float | None, quantize: bool, **where: str) -> _Model: ...


class _Library(Protocol):
    @property
    def TTSModel(self) -> _Models: ...

    def export_model_state(self, model_state: _State, dest: Path) -> None: ...


class _Defaults(Protocol):
    def get_default_voice_for_language(self, language: str, config: str | None) -> str: ...


def _pcm(samples: NDArray[np.float32]) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
