"""VoXtream2: an English voice that clones a recording and gives 80 ms of audio a step.

One phrase at a time. The library keeps its transformers in a module, loads from the hub alone,
and caches prompts as pickles; `_Library` is where it is made to do otherwise.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from functools import partial
from importlib import import_module
from importlib.metadata import version
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

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
from deployments.model_thread import ModelThread
from deployments.torch_models import check_english, forget, torch_device, warmed_up
from deployments.voice_prompts import VoicePrompts, read_recording
from deployments.waveform import to_pcm

_CONFIG = Path(__file__).with_name("voxtream")
_RATE = 24_000
_USUAL_RATE = 4.0
"""Syllables a second where none are set."""

_MAX_CHARACTERS = 4_000
"""More are not said in the model's 60 s, whatever they are."""

_PROMPT_PHONES = 251
"""What a recording of 20 s takes of the room for phones."""

_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LEADING = re.compile(r"^[^\w$£€¥]+")
"""The library loses a text whose only punctuation comes first."""

_LONG_NUMBER = re.compile(r"\d{13,}")
"""Longer numbers are said digit by digit."""


@register("tts", "voxtream")
class Voxtream:
    """Speaks with `voice`, a recording of 3 to 20 s: a path, or "hf://owner/repository/file".

    `model` and `codec` are hub repositories or local folders, `speaker_encoder` is a GitHub
    repository ("owner/name:revision"). `speaking_rate` is in syllables a second, 2 to 6; None: as
    the model likes. With a `seed` a text is always said the same way. `compile` takes minutes at
    the start, for faster steps; without it there are CUDA graphs.
    """

    requires: ClassVar[tuple[str, ...]] = ("voxtream", "torch", "torchaudio", "soundfile")
    cloning: ClassVar[Cloning] = Cloning(min_s=3.0)

    def __init__(
        self,
        *,
        voice: str = "hf://kyutai/tts-voices/alba-mackenna/casual.wav",
        model: str = "herimor/voxtream2.1",
        codec: str = "kyutai/moshiko-pytorch-bf16",
        speaker_encoder: str = "IDRnD/ReDimNet",
        device: Literal["auto", "cuda", "cpu"] = "auto",
        compile: bool = False,
        cuda_graphs: bool = True,
        speaking_rate: float | None = None,
        seed: int | None = None,
    ) -> None:
        self._voice_name = voice
        self._repositories = {
            "model_repo": model,
            "mimi_repo": codec,
            "spk_enc_repo": speaker_encoder,
        }
        self._device = device
        self._compile = compile
        self._cuda_graphs = cuda_graphs
        self._speaking_rate = speaking_rate
        self._seed = seed

    def load(self) -> StageInfo:
        """Load the model and say a phrase with the default voice. Raises LoadFailed."""
        if self._speaking_rate is not None and not 2 <= self._speaking_rate <= 6:
            raise LoadFailed("voxtream's speaking_rate is 2 to 6 syllables a second")
        self._thread = ModelThread("voxtream")
        named = f"voxtream's voice {self._voice_name!r}"
        with warmed_up(self, named, "I am ready, how are you today?"):
            self._thread.call(self._load)
        return StageInfo(
            backend="voxtream",
            languages=("en", "en-us"),
            details={"voice": self._voice_name, "rate": str(_RATE)},
        )

    def speak(self, request: SpeechRequest) -> Generator[AudioChunk, None, None]:
        """The phrase in chunks of 80 ms. Raises BadInput.

        It must be English, of at most 60 s, and a voice must have come with its recording.
        """
        check_english(request, "voxtream", _MAX_CHARACTERS)
        recording = Path(request.recording) if request.recording else self._voice
        return self._thread.iterate(partial(self._stream, request.text, recording))

    def prepare(self, recording: Path) -> None:
        """Make what a phrase with this voice begins with, so that the first is not late.

        Raises BadInput for a recording that cannot be used.
        """
        self._thread.call(lambda: self._library.prepare(recording))

    def close(self) -> None:
        """Free the model, after the step that it is in."""
        if hasattr(self, "_library"):
            self._thread.call(self._library.close)
            del self._library
        self._thread.close()

    def _load(self) -> None:
        self._voice = hub.recording(self._voice_name)
        self._library = _Library(
            self._repositories,
            self._voice,
            self._device,
            compile=self._compile,
            cuda_graphs=self._cuda_graphs,
        )

    def _stream(self, text: str, recording: Path) -> Generator[AudioChunk, None, None]:
        library = self._library
        text = _readable(text)
        if not library.check_length(text, self._speaking_rate or _USUAL_RATE):
            return
        if self._seed is not None:
            library.torch.manual_seed(self._seed)
        rate = None if self._speaking_rate is None else repeat(self._speaking_rate)
        frames = library.generator.generate_stream(recording, text, speaking_rate=rate)
        with closing(frames):
            for samples, _ in frames:
                yield AudioChunk(to_pcm(samples), _RATE)


class _Library:
    """The library's generator, made to fit. Used in one thread. Raises LoadFailed."""

    def __init__(
        self,
        repositories: dict[str, str],
        voice: Path,
        device: str,
        *,
        compile: bool,
        cuda_graphs: bool,
    ) -> None:
        if shutil.which("espeak-ng") is None:
            raise LoadFailed("voxtream needs espeak-ng on the PATH: apt install espeak-ng")
        self._opened = ExitStack()
        self._voice = voice
        config = _config("generator") | repositories
        try:
            module = _imported()
            self.torch = import_module("torch")
            _check_device(device)
            if not cuda_graphs:
                self._opened.enter_context(import_module("moshi.utils.compile").no_cuda_graph())
            self._prepare_prompt: Callable[..., tuple[Any, ...]] = module.prepare_prompt
            module.prepare_prompt = self._prompt
            self.generator: Any = module.SpeechGenerator(
                module.SpeechGeneratorConfig(**config), _config("speaking_rate"), compile
            )
        except (ImportError, OSError, RuntimeError, AssertionError, LookupError) as error:
            raise LoadFailed(f"voxtream cannot be loaded: {error}") from error
        origin = f"{version('voxtream')} {repositories['mimi_repo']} {repositories['spk_enc_repo']}"
        self._prompts = VoicePrompts("voxtream", origin, self.generator.ctx.device)
        self._guard_espeak()

    def close(self) -> None:
        """Free the model."""
        self._opened.close()
        forget(self, "generator", "_prompts")

    def check_length(self, text: str, speaking_rate: float) -> bool:
        """Whether there is something to say. Raises BadInput if it is more than the model can.

        The library would leave out what is too much.
        """
        context = self.generator.ctx
        text_module = import_module("voxtream.utils.generator.text")
        spoken = text_module.build_text_progress_metadata(
            text, context.config, context.phone_to_token, context.phonemizer
        )
        limit_s = context.config.max_audio_length_ms / 1000
        if len(spoken.phones) > context.config.max_phone_tokens - _PROMPT_PHONES:
            raise BadInput("the phrase is too long")
        if spoken.vowel_prefix[-1] / speaking_rate > limit_s:
            raise BadInput(f"the phrase is longer than {limit_s:g} s")
        return bool(spoken.phones)

    def prepare(self, recording: Path) -> None:
        """Have a recording's prompt at hand."""
        with self.torch.inference_mode():
            self._prompt(
                recording,
                **self.generator.ctx.prompt_kwargs(
                    enhance_prompt=False, apply_vad=False, normalize_loudness=True
                ),
            )

    def _prompt(self, prompt_audio_path: Path, **settings: Any) -> tuple[Any, ...]:
        """The library's `prepare_prompt`, but what it made is kept."""

        def make() -> dict[str, Any]:
            made = self._prepare_prompt(prompt_audio_path=prompt_audio_path, **settings)
            return {str(index): tensor for index, tensor in enumerate(made)}

        registered = prompt_audio_path != self._voice
        prompt = self._prompts.get(prompt_audio_path, make, on_disk=registered)
        return tuple(prompt[str(index)] for index in range(len(prompt)))

    def _guard_espeak(self) -> None:
        """The text is an argument of espeak-ng's: with a space before it, it is never an option."""
        phonemizer = self.generator.ctx.phonemizer
        phonemize = phonemizer.phonemize_espeak

        def guarded(text: str, *args: Any, **settings: Any) -> str:
            return phonemize(f" {text}", *args, **settings)

        phonemizer.phonemize_espeak = guarded


def _check_device(device: str) -> None:
    found = torch_device("auto")
    if device not in ("auto", found):
        raise LoadFailed(
            f"voxtream's device is {device!r}, and what torch sees here is {found!r} "
            "(CUDA_VISIBLE_DEVICES hides a GPU)"
        )


def _imported() -> Any:
    """The library, imported anew: its transformers are made then, and the last voice took them."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "voxtream"]:
        del sys.modules[name]
    nltk: Any = import_module("nltk")
    download, nltk.download = nltk.download, _nothing
    try:
        module = import_module("voxtream.generator")
    finally:
        nltk.download = download
    cast(Any, import_module("voxtream.utils.generator.setup")).hf_hub_download = _hub_file
    cast(Any, import_module("torchaudio")).load = partial(
        read_recording, min_s=Voxtream.cloning.min_s
    )
    cast(Any, module).configure_cpu_threads = _nothing
    return module


def _nothing(*_: object) -> None:
    """For what is not wanted: word lists of a phonemiser that is not used, a number of threads
    that is not the library's to set, nor can be set twice."""


def _hub_file(repository: str, name: str, **_: object) -> str:
    """In the place of the hub's own: a repository may be a folder. Raises LoadFailed."""
    return str(hub.file(repository, name))


def _config(name: str) -> dict[str, Any]:
    return json.loads((_CONFIG / f"{name}.json").read_text())


def _readable(text: str) -> str:
    """The text without what the library cannot take."""
    visible = _LEADING.sub("", _UNSPEAKABLE.sub(" ", text))
    return _LONG_NUMBER.sub(lambda number: " ".join(number.group()), visible)
