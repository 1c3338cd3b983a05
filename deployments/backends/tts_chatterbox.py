"""Chatterbox Turbo: an English voice that clones a recording, a whole sentence at a time.

It does not stream: a phrase is made whole and given in pieces, so a phrase that is interrupted
holds the voice until it is made. Its audio carries the library's inaudible watermark.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from deployments import hub
from deployments.backends import register
from deployments.contracts import (
    AudioChunk,
    Cloning,
    LoadFailed,
    SpeechRequest,
    StageInfo,
)
from deployments.model_thread import ModelThread
from deployments.torch_models import check_english, forget, torch_device, warmed_up
from deployments.voice_prompts import VoicePrompts, check_recording
from deployments.waveform import cut

_FILES = ("*.safetensors", "*.json", "*.txt", "*.pt", "*.model")

_MAX_CHARACTERS = 500
"""The library leaves out what does not fit into 40 s."""

_CODES, _VOCODER = "t3.", "s3gen."
"""Prefixes of the two parts of a prompt."""


@register("tts", "chatterbox")
class Chatterbox:
    """Speaks with `voice`, a recording of more than 5 s (a path, or "hf://owner/repository/file").

    None: the voice that comes with the model. `model` is a hub repository or a local folder. With
    a `seed` a text is always said the same way.
    """

    requires: ClassVar[tuple[str, ...]] = ("chatterbox", "torch", "soundfile")
    cloning: ClassVar[Cloning] = Cloning(min_s=5.1)

    def __init__(
        self,
        *,
        model: str = "ResembleAI/chatterbox-turbo",
        voice: str | None = None,
        device: Literal["auto", "cuda", "cpu"] = "auto",
        temperature: float = 0.8,
        seed: int | None = None,
    ) -> None:
        self._model_name = model
        self._voice_name = voice
        self._device = device
        self._temperature = temperature
        self._seed = seed

    def load(self) -> StageInfo:
        """Load the model and say a phrase with the default voice. Raises LoadFailed."""
        self._thread = ModelThread("chatterbox")
        with warmed_up(self, "chatterbox's voice", "I am ready, how are you today?"):
            self._thread.call(self._load)
        return StageInfo(
            backend="chatterbox",
            languages=("en", "en-us"),
            details={"voice": self._voice_name or "built in", "rate": str(self._model.sr)},
        )

    def speak(self, request: SpeechRequest) -> Generator[AudioChunk, None, None]:
        """The phrase in chunks of 80 ms, once it is made. Raises BadInput.

        It must be English, of at most 500 characters, and a voice must have come with its
        recording.
        """
        check_english(request, "chatterbox", _MAX_CHARACTERS)
        recording = Path(request.recording) if request.recording else None
        return self._thread.iterate(partial(self._stream, request.text, recording))

    def prepare(self, recording: Path) -> None:
        """Make what a phrase with this voice begins with, so that the first is not late.

        Raises BadInput for a recording that cannot be used.
        """
        self._thread.call(lambda: self._prompt(recording, on_disk=True))

    def close(self) -> None:
        """Free the model, after the phrase that it is in."""
        self._thread.call(lambda: forget(self, "_model", "_default", "_prompts"))
        self._thread.close()

    def _load(self) -> None:
        voice = hub.recording(self._voice_name) if self._voice_name else None
        folder = hub.folder(self._model_name, _FILES)
        try:
            self._torch = import_module("torch")
            device = torch_device(self._device)
            self._library: Any = import_module("chatterbox.tts_turbo")
            self._model: Any = self._library.ChatterboxTurboTTS.from_local(folder, device)
        except (ImportError, OSError, RuntimeError, LookupError, TypeError) as error:
            raise LoadFailed(f"chatterbox cannot be loaded: {error}") from error
        cast(Any, import_module("chatterbox.models.t3.t3")).tqdm = _without_a_bar
        self._prompts = VoicePrompts("chatterbox", self._model_name, device)
        if voice is not None:
            self._default = self._prompt(voice, on_disk=False)
        elif self._model.conds is not None:
            self._default = _tensors(self._model.conds)
        else:
            raise LoadFailed("this chatterbox model has no voice: set `voice` to a recording")

    def _prompt(self, recording: Path, *, on_disk: bool) -> dict[str, Any]:
        def make() -> dict[str, Any]:
            check_recording(recording, self.cloning.min_s)
            self._model.prepare_conditionals(recording)
            return _tensors(self._model.conds)

        return self._prompts.get(recording, make, on_disk=on_disk)

    def _stream(self, text: str, recording: Path | None) -> Generator[AudioChunk, None, None]:
        if not any(character.isalnum() for character in text):
            return  # The library would say a sentence of its own.
        prompt = self._default if recording is None else self._prompt(recording, on_disk=True)
        self._model.conds = self._conditionals(prompt)
        if self._seed is not None:
            self._torch.manual_seed(self._seed)
        with self._torch.inference_mode():
            samples = self._model.generate(text, temperature=self._temperature)
        yield from cut(samples.squeeze(0).numpy(), self._model.sr)

    def _conditionals(self, prompt: dict[str, Any]) -> Any:
        """A prompt as the library has it. It writes into that, so each phrase has its own."""
        parts = {
            part: {
                name.removeprefix(part): tensor
                for name, tensor in prompt.items()
                if name.startswith(part)
            }
            for part in (_CODES, _VOCODER)
        }
        codes = self._library.T3Cond(**parts[_CODES])
        return self._library.Conditionals(codes, {"prompt_feat_len": None} | parts[_VOCODER])


def _tensors(conditionals: Any) -> dict[str, Any]:
    """A prompt by name; what it has not got is left out."""
    codes = cast(dict[str, Any], vars(conditionals.t3))
    vocoder = cast(dict[str, Any], conditionals.gen)
    named = [(f"{_CODES}{name}", tensor) for name, tensor in codes.items()]
    named += [(f"{_VOCODER}{name}", tensor) for name, tensor in vocoder.items()]
    return {name: tensor for name, tensor in named if tensor is not None}


def _without_a_bar(steps: Iterable[int]) -> Iterable[int]:
    """In the place of the library's progress bar."""
    return steps
