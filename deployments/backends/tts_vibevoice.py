"""VibeVoice Realtime 0.5B: a voice that streams, with the voices that its authors published alone.

Its voices are pickles. Only files whose hash is listed here are read, and of what a pickle may
call just what these need is allowed, so that nothing else in one could run.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

from deployments import hub
from deployments.backends import register
from deployments.contracts import AudioChunk, BadInput, LoadFailed, SpeechRequest, StageInfo
from deployments.language_tags import primary_language
from deployments.model_thread import ModelThread
from deployments.torch_models import forget, torch_device, warmed_up
from deployments.waveform import to_pcm

_RATE = 24_000
_MAX_CHARACTERS = 4_000
_STEPS = 5
"""Diffusion steps a frame, as the authors' own demonstration has them."""

_GUIDANCE = 1.5

_VOICES = {
    "en-Davis_man": "67561d63bfa2153616e4c02fd967007c182593fc53738a6ad94bf5f84e8832ac",
    "en-Emma_woman": "75b15c481e0d848991f1789620aa9929c583ec2c5f701f8152362cf74498bbf8",
    "en-Frank_man": "acaa8f1a4f46a79f8f5660cfb7a3af06ef473389319df7debc07376fdc840e47",
    "en-Grace_woman": "5f0ef02a3f3cace04cf721608b65273879466bb15fe4044e46ec6842190f6bb1",
    "en-Mike_man": "afb64b580fbc6fab09af04572bbbd2b3906ff8ed35a28731a90b8681e47bdc89",
    "in-Samuel_man": "b6ec5e8cde4006aa3f26fde0422124f3296f83f5738b5b4506268855a305cb06",
    "it-Spk0_woman": "1a838184c0304802c696bac887d15a8143539fbb0b5371fe53de66059a010f3d",
    "it-Spk1_man": "349ce0d28e93ea8b1df55800527f3a8ba8a55bb9e88990841db1bc9ee424519a",
    "kr-Spk0_woman": "c6d15b8d66f8c271655d000b5923cb33a9b564bf84484a82b10431dc1a2fafef",
    "nl-Spk0_man": "70e9221ed11737e2b32af3ccfebb673bd1122f9f9ea8d357efd91e9f3b8e8f72",
    "pl-Spk0_man": "6c06a9e251ab08ade328dfe16e01eb6f5ddc4ba9c66695a73e3aae8a919396bd",
    "pt-Spk0_woman": "40f3a231e011f9c5e1eb4e852599751ce749439edceb36d0fa2bca952387f5a9",
    "pt-Spk1_man": "06a0052170a4ae5217931eb84318a6f86279439b536ad9780c724526d84148e5",
}
"""SHA-256 of the voices in the authors' repository at e73d1e17."""

_LANGUAGES = {"in": "en", "kr": "ko"}
"""Where a voice's name does not begin with its language; "in" speaks English as in India."""


@register("tts", "vibevoice")
class VibeVoice:
    """Speaks with `voice`, one of the authors' files in `voices_dir`. It clones nothing.

    `model` is a hub repository or a local folder. With a `seed` a text is always said the same
    way.
    """

    requires: ClassVar[tuple[str, ...]] = ("vibevoice", "torch", "transformers")

    def __init__(
        self,
        *,
        voices_dir: str = "demo/voices/streaming_model",
        model: str = "microsoft/VibeVoice-Realtime-0.5B",
        voice: str = "en-Emma_woman",
        device: Literal["auto", "cuda", "cpu"] = "auto",
        seed: int | None = None,
    ) -> None:
        self._voices_dir = Path(voices_dir)
        self._model_name = model
        self._voice = voice
        self._device = device
        self._seed = seed

    def load(self) -> StageInfo:
        """Load the model and the voices there are, and say a phrase. Raises LoadFailed."""
        if not (self._voices_dir / f"{self._voice}.pt").is_file():
            raise LoadFailed(f"vibevoice needs {self._voice}.pt in {self._voices_dir}")
        self._thread = ModelThread("vibevoice")
        with warmed_up(self, f"vibevoice's voice {self._voice!r}", "I am ready."):
            self._thread.call(self._load)
        return StageInfo(
            backend="vibevoice",
            voices=tuple(self._voices),
            languages=tuple(dict.fromkeys(map(_language, self._voices))),
            details={"voice": self._voice, "rate": str(_RATE)},
        )

    def speak(self, request: SpeechRequest) -> Generator[AudioChunk, None, None]:
        """The phrase in chunks of 133 ms. Raises BadInput.

        Without a voice a language gets the first that speaks it.
        """
        if len(request.text) > _MAX_CHARACTERS:
            raise BadInput(f"a phrase has at most {_MAX_CHARACTERS} characters")
        voice = self._voice_for(request)
        return self._thread.pushed(partial(self._speak, request.text, voice))

    def close(self) -> None:
        """Free the model, after the step that it is in."""
        self._thread.call(lambda: forget(self, "_model", "_processor", "_voices"))
        self._thread.close()

    def _load(self) -> None:
        folder = hub.folder(self._model_name, ("*.json", "*.safetensors", "*.txt"))
        try:
            self._torch = import_module("torch")
            device = torch_device(self._device)
            self._voices = _read_voices(self._voices_dir, device)
            processor = import_module("vibevoice.processor.vibevoice_streaming_processor")
            modeling = import_module("vibevoice.modular.modeling_vibevoice_streaming_inference")
            self._processor: Any = processor.VibeVoiceStreamingProcessor.from_pretrained(folder)
            classes: Any = modeling.VibeVoiceStreamingForConditionalGenerationInference
            self._model: Any = classes.from_pretrained(
                folder,
                torch_dtype=self._torch.bfloat16 if device == "cuda" else self._torch.float32,
                device_map=device,
                attn_implementation="sdpa",
            )
        except (ImportError, OSError, RuntimeError, LookupError, ValueError) as error:
            raise LoadFailed(f"vibevoice cannot be loaded: {error}") from error
        self._model.eval()
        self._model.set_ddpm_inference_steps(num_steps=_STEPS)

    def _voice_for(self, request: SpeechRequest) -> str:
        if request.voice is not None:
            if request.voice not in self._voices:
                raise BadInput(f"there is no voice {request.voice!r}")
            return request.voice
        if request.language is None:
            return self._voice
        language = primary_language(request.language)
        fitting = [voice for voice in (self._voice, *self._voices) if _language(voice) == language]
        if not fitting:
            raise BadInput(f"vibevoice does not speak {request.language!r}")
        return fitting[0]

    def _speak(
        self, text: str, voice: str, give: Callable[[AudioChunk], None], stopped: threading.Event
    ) -> None:
        if not any(character.isalnum() for character in text):
            return
        prompt = self._voices[voice]
        inputs = self._processor.process_input_with_cached_prompt(
            text=text.replace("’", "'"),
            cached_prompt=prompt,
            padding=True,
            return_tensors="pt",
            return_attention_mask=True,
        )
        if self._seed is not None:
            self._torch.manual_seed(self._seed)
        self._model.generate(
            **{
                name: value.to(self._model.device) if hasattr(value, "to") else value
                for name, value in inputs.items()
            },
            max_new_tokens=None,
            cfg_scale=_GUIDANCE,
            tokenizer=self._processor.tokenizer,
            generation_config={"do_sample": False},
            audio_streamer=_Listener(give),
            stop_check_fn=stopped.is_set,
            show_progress_bar=False,
            verbose=False,
            # The library goes on writing where the prompt ends.
            all_prefilled_outputs=copy.deepcopy(prompt),
        )


class _Listener:
    """Takes the audio as the library makes it."""

    def __init__(self, give: Callable[[AudioChunk], None]) -> None:
        self._give = give

    def put(self, audio: Any, _: Any) -> None:
        """A chunk of each phrase; there is one."""
        samples = audio[0].detach().float().cpu().numpy().reshape(-1)
        self._give(AudioChunk(to_pcm(samples), _RATE))

    def end(self, _: Any = None) -> None:
        """The thread says so itself."""


def _language(voice: str) -> str:
    prefix = voice.partition("-")[0]
    return _LANGUAGES.get(prefix, prefix)


def _read_voices(folder: Path, device: str) -> dict[str, Any]:
    """The prompts of the voices that are there. Raises LoadFailed for a file that is not known."""
    torch = import_module("torch")
    outputs = import_module("transformers.modeling_outputs").BaseModelOutputWithPast
    allowed = [
        (_fields, f"{outputs.__module__}.{outputs.__name__}"),
        import_module("transformers.cache_utils").DynamicCache,
    ]
    voices: dict[str, Any] = {}
    for path in sorted(folder.glob("*.pt")):
        if _VOICES.get(path.stem) != hashlib.sha256(path.read_bytes()).hexdigest():
            raise LoadFailed(f"{path} is not a voice of VibeVoice's authors that is known here")
        with torch.serialization.safe_globals(allowed):
            parts = torch.load(path, map_location=device, weights_only=True)
        voices[path.stem] = {part: outputs(**fields) for part, fields in parts.items()}
    return voices


def _fields(*_: object) -> OrderedDict[str, Any]:
    """In the place of the library's outputs, which torch does not read safely; it fills this."""
    return OrderedDict()
