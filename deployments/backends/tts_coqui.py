"""Coqui's XTTS v2: seventeen languages, voices of its own, and clones of a recording; it streams.

Its weights may not be used commercially (Coqui Public Model License).
"""

from __future__ import annotations

import textwrap
from collections.abc import Generator
from contextlib import closing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, cast

from deployments import hub
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
from deployments.model_thread import ModelThread
from deployments.torch_models import forget, torch_device, warmed_up
from deployments.voice_prompts import VoicePrompts, read_recording
from deployments.waveform import to_pcm

_FILES = ("config.json", "model.pth", "vocab.json", "speakers_xtts.pth")
_RATE = 24_000

_USUAL_LIMIT = 250
"""Characters at once, in a language for which the library names no limit."""

_Speaker: TypeAlias = dict[str, Any]
"""The tensors `gpt_cond_latent` and `speaker_embedding`."""


@register("tts", "coqui")
class Coqui:
    """Speaks as `voice`: a voice of the model's own, a recording of 3 s or more, or a hub file.

    `model` is a hub repository or a local folder. `chunk_tokens` of 47 ms each are made before
    they are given: fewer are heard sooner and cost more. `speed` 1 is the voice's own. With a
    `seed` a text is always said the same way.
    """

    requires: ClassVar[tuple[str, ...]] = ("TTS", "torch", "torchaudio", "soundfile")
    cloning: ClassVar[Cloning] = Cloning(min_s=3.0)

    def __init__(
        self,
        *,
        model: str = "coqui/XTTS-v2",
        voice: str = "Claribel Dervla",
        language: str = "en",
        device: Literal["auto", "cuda", "cpu"] = "auto",
        chunk_tokens: int = 20,
        speed: float = 1.0,
        temperature: float = 0.75,
        seed: int | None = None,
    ) -> None:
        self._model_name = model
        self._voice = voice
        self._language = language
        self._device = device
        self._options = {
            "stream_chunk_size": chunk_tokens,
            "speed": speed,
            "temperature": temperature,
        }
        self._seed = seed

    def load(self) -> StageInfo:
        """Load the model and say a phrase with the default voice. Raises LoadFailed."""
        self._thread = ModelThread("coqui")
        with warmed_up(self, f"coqui's voice {self._voice!r}", "I am ready."):
            self._thread.call(self._load)
        return StageInfo(
            backend="coqui",
            voices=tuple(sorted(self._own)),
            languages=self._languages,
            details={"voice": self._voice, "rate": str(_RATE)},
        )

    def speak(self, request: SpeechRequest) -> Generator[AudioChunk, None, None]:
        """The phrase in chunks of `chunk_tokens`. Raises BadInput.

        A voice must be the model's, or have come with its recording.
        """
        language = primary_language(request.language or self._language)
        if language not in self._languages:
            raise BadInput(f"coqui does not speak {request.language!r}")
        recording = Path(request.recording) if request.recording else None
        if request.voice not in self._own and request.voice is not None and recording is None:
            raise BadInput(f"there is no voice {request.voice!r}")
        make = partial(self._stream, request.text, language, request.voice, recording)
        return self._thread.iterate(make)

    def prepare(self, recording: Path) -> None:
        """Make what a phrase with this voice begins with, so that the first is not late.

        Raises BadInput for a recording that cannot be used.
        """
        self._thread.call(lambda: self._cloned(recording, on_disk=True))

    def close(self) -> None:
        """Free the model, after the step that it is in."""
        self._thread.call(lambda: forget(self, "_model", "_own", "_default", "_prompts"))
        self._thread.close()

    def _load(self) -> None:
        folder = hub.folder(self._model_name, _FILES)
        try:
            self._torch = import_module("torch")
            cast(Any, import_module("torchaudio")).load = partial(
                read_recording, min_s=self.cloning.min_s
            )
            config: Any = import_module("TTS.tts.configs.xtts_config").XttsConfig()
            config.load_json(str(folder / "config.json"))
            self._model: Any = import_module("TTS.tts.models.xtts").Xtts(config)
            self._model.load_checkpoint(config, checkpoint_dir=folder, eval=True)
            device = torch_device(self._device)
            self._model.to(device)
        except (ImportError, OSError, RuntimeError, LookupError, ValueError) as error:
            raise LoadFailed(f"coqui cannot be loaded: {error}") from error
        self._languages = tuple(dict.fromkeys(primary_language(code) for code in config.languages))
        manager = self._model.speaker_manager
        self._own: dict[str, _Speaker] = {} if manager is None else manager.speakers
        self._prompts = VoicePrompts("coqui", self._model_name, device)
        self._default = self._own.get(self._voice) or self._cloned(
            hub.recording(self._voice), on_disk=False
        )

    def _cloned(self, recording: Path, *, on_disk: bool) -> _Speaker:
        def make() -> _Speaker:
            latent, embedding = self._model.get_conditioning_latents(recording)
            return {"gpt_cond_latent": latent, "speaker_embedding": embedding}

        return self._prompts.get(recording, make, on_disk=on_disk)

    def _speaker(self, voice: str | None, recording: Path | None) -> _Speaker:
        if recording is not None:
            return self._cloned(recording, on_disk=True)
        return self._default if voice is None else self._own[voice]

    def _stream(
        self, text: str, language: str, voice: str | None, recording: Path | None
    ) -> Generator[AudioChunk, None, None]:
        if not any(character.isalnum() for character in text):
            return
        speaker = self._speaker(voice, recording)
        if self._seed is not None:
            self._torch.manual_seed(self._seed)
        limit = self._model.tokenizer.char_limits.get(language, _USUAL_LIMIT)
        for piece in textwrap.wrap(text, limit):
            with closing(
                self._model.inference_stream(
                    piece,
                    language,
                    speaker["gpt_cond_latent"],
                    speaker["speaker_embedding"],
                    **self._options,
                )
            ) as chunks:
                for samples in chunks:
                    yield AudioChunk(to_pcm(samples.float().cpu().numpy()), _RATE)
