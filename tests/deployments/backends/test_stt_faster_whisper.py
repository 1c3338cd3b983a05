"""faster-whisper's memory, devices and settings, over a library that only pretends."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deployments import backends
from deployments.backends.stt_faster_whisper import FasterWhisper
from deployments.contracts import BadInput, LoadFailed, SpeechWindow, StageInfo

SECOND = SpeechWindow(bytes(32_000), final=False)


class Library:
    """What stands in for faster_whisper and ctranslate2, and what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gpus = 0
        self.too_big: set[str] = set()
        self.loaded: list[tuple[str, dict[str, Any]]] = []
        self.freed: list[str] = []
        self.batches: list[int] = []
        self.tasks: list[tuple[str, str]] = []
        library = self

        class WhisperModel:
            max_length = 448
            hf_tokenizer = None

            def __init__(self, name: str, **options: Any) -> None:
                library.loaded.append((name, options))
                if name == "absent":
                    raise FileNotFoundError("no snapshot in the cache")
                self.name = name
                multilingual = not name.endswith(".en")
                self.supported_languages = ("en", "de") if multilingual else ("en",)
                self.model = SimpleNamespace(
                    is_multilingual=multilingual,
                    detect_language=lambda mels: [[("<|de|>", 1.0)]] * len(mels),
                    generate=self.generate,
                    unload_model=self.unload,
                )

            def feature_extractor(self, sound: np.ndarray) -> np.ndarray:
                return np.zeros((80, len(sound) // 160 + 1), np.float32)

            def encode(self, features: np.ndarray) -> np.ndarray:
                return features

            def get_prompt(self, *_: Any, **__: Any) -> list[int]:
                return [1]

            def generate(self, encoded: np.ndarray, *_: Any, **__: Any) -> list[Any]:
                if self.name in library.too_big:
                    raise RuntimeError("CUDA failed with error out of memory")
                library.batches.append(len(encoded))
                said = SimpleNamespace(sequences_ids=[[5]], scores=[-0.1], no_speech_prob=0.0)
                return [said] * len(encoded)

            def find_alignment(self, _: Any, tokens: list[Any], *__: Any) -> list[list[Any]]:
                return [[] for _ in tokens]

            def unload(self) -> None:
                library.freed.append(self.name)

        parts: Any = ModuleType("faster_whisper.transcribe")
        parts.Tokenizer = self.tokenizer
        parts.pad_or_trim = lambda mel: mel[:, :10]
        parts.get_suppressed_tokens = lambda *_: []
        parts.get_compression_ratio = lambda _: 1.0
        parts.merge_punctuations = lambda *_: None
        top: Any = ModuleType("faster_whisper")
        top.WhisperModel = WhisperModel
        engine: Any = ModuleType("ctranslate2")
        engine.get_cuda_device_count = lambda: self.gpus
        for module in (top, parts, engine):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    def tokenizer(self, *_: Any, task: str, language: str) -> Any:
        """What a decode is begun with."""
        self.tasks.append((task, language))
        return SimpleNamespace(eot=9, decode=lambda _: " yes")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    """Without a GPU, and with memory for everything."""
    return Library(monkeypatch)


def loaded(**settings: Any) -> tuple[FasterWhisper, StageInfo]:
    """A backend and what it says of itself."""
    backend = FasterWhisper(**settings)
    return backend, backend.load()


def test_on_a_cpu(library: Library) -> None:
    """int8, one window a call, and both ways decoded once before it says that it is loaded."""
    _, info = loaded()
    assert library.loaded == [
        ("small.en", {"device": "cpu", "compute_type": "int8", "cpu_threads": 0, "num_workers": 2})
    ]
    assert library.batches == [1, 1]
    assert info.batch == 1
    assert info.details == {"model": "small.en", "device": "cpu", "compute_type": "int8"}


def test_on_a_gpu(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """float16, with a whole batch warmed; cuBLAS was loaded first."""
    from deployments.backends import stt_faster_whisper

    order: list[str] = []
    monkeypatch.setattr(stt_faster_whisper, "_preload_cublas", lambda: order.append("cublas"))
    library.gpus = 1
    _, info = loaded(batch=4)
    assert order == ["cublas"]
    assert library.loaded[0][1]["compute_type"] == "float16"
    assert library.batches == [4, 1]
    assert (info.batch, info.details["device"]) == (4, "cuda")


@pytest.mark.usefixtures("library")
def test_a_gpu_without_cublas_says_what_to_install() -> None:
    """The package is named."""
    with pytest.raises(LoadFailed, match="nvidia-cublas-cu12"):
        loaded(device="cuda")


def test_no_memory_at_load(library: Library) -> None:
    """The next smaller model that decodes is taken, and named in the details."""
    library.too_big = {"large-v3", "large-v3-turbo"}
    _, info = loaded(model="large-v3")
    assert [name for name, _ in library.loaded] == ["large-v3", "large-v3-turbo", "small"]
    assert info.details["model"] == "small"
    assert info.details["fallback"] == "no memory for large-v3-turbo"


def test_no_memory_later(library: Library) -> None:
    """The caller still gets a transcript; the details that were given out say so."""
    backend, info = loaded(model="small.en")
    library.too_big = {"small.en"}
    assert backend.transcribe([SECOND])[0].text == "yes"
    assert library.freed == ["small.en"]
    assert (info.details["model"], info.details["fallback"]) == (
        "base.en",
        "no memory for small.en",
    )


def test_the_fallback_may_be_chosen(library: Library) -> None:
    """A folder has no size, so nothing smaller is known of it."""
    library.too_big = {"/models/mine"}
    assert loaded(model="/models/mine", fallback="tiny.en")[1].details["model"] == "tiny.en"
    for settings in ({"model": "/models/mine"}, {"model": "/models/mine", "fallback": ""}):
        with pytest.raises(LoadFailed, match="/models/mine"):
            loaded(**settings)


@pytest.mark.usefixtures("library")
def test_a_model_that_is_not_there() -> None:
    """It is named, and how to provide it."""
    with pytest.raises(LoadFailed, match=r"'absent'.*no snapshot in the cache.*HF_HOME"):
        loaded(model="absent")


def test_translation(library: Library) -> None:
    """From the language that is found, whatever the callers' is; apart from what is transcribed."""
    backend, info = loaded(model="small", language="en")
    assert info.translates
    library.tasks.clear()
    german = SpeechWindow(bytes(32_000), final=True, task="translate")
    heard = backend.transcribe([german, SpeechWindow(bytes(32_000), final=True)])
    assert library.tasks == [("translate", "de"), ("transcribe", "en")]
    assert [transcript.language for transcript in heard] == ["en", "en"]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("model", ["small.en", "large-v3-turbo", "Systran/faster-distil-small"])
def test_models_that_do_not_translate(model: str) -> None:
    """English ones have nothing to translate; the quick ones would transcribe."""
    assert not loaded(model=model)[1].translates


def test_a_fallback_that_does_not_translate(library: Library) -> None:
    """Refuses, rather than transcribe what was to be translated."""
    backend, info = loaded(model="large-v3")
    assert info.translates
    library.too_big = {"large-v3"}
    with pytest.raises(BadInput, match="large-v3-turbo"):
        backend.transcribe([replace(SECOND, task="translate")])


@pytest.mark.parametrize("size", ["small.en", "base", "base.en", "large-v3"])
def test_presets(size: str) -> None:
    """A size chooses this backend; another backend's settings do not stay."""
    assert backends.choose("stt", "timed", {}, size) == ("faster-whisper", {"model": size})
    assert backends.choose("stt", "timed", {}, "turbo")[1] == {"model": "large-v3-turbo"}
