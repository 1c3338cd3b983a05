"""VibeVoice over a small copy of its library's interface: its voices, above all."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.backends import tts_vibevoice
from deployments.backends.tts_vibevoice import VibeVoice
from deployments.contracts import BadInput, LoadFailed, SpeechRequest
from tests.fake_torch import FakeTorch, Tensor

PATIENCE_S = 5.0


class Output(dict[str, Any]):
    """See BaseModelOutputWithPast."""


class FakeModel:
    """The model: a chunk a word, and what is left of the prompt is written into."""

    device = "cpu"

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.options: dict[str, Any] = {}
        self.stopped = threading.Event()
        self.waits = False

    def eval(self) -> None:
        """See torch.nn.Module."""

    def set_ddpm_inference_steps(self, num_steps: int) -> None:
        """See the library."""
        assert num_steps == 5

    def generate(
        self,
        *,
        text: str,
        audio_streamer: Any,
        stop_check_fn: Callable[[], bool],
        all_prefilled_outputs: dict[str, Any],
        **options: Any,
    ) -> None:
        """See the library. If it waits, the second chunk never comes."""
        self.options = options
        self.said.append((text, all_prefilled_outputs["lm"].pop("voice")))
        for number, _ in enumerate(text.split()):
            while self.waits and number == 1 and not stop_check_fn():
                self.stopped.wait(0.001)
            if stop_check_fn():
                self.stopped.set()
                break
            audio_streamer.put(Tensor([0.5]), Tensor([0]))
        audio_streamer.end()


class FakeProcessor:
    """Text and prompt to what the model takes."""

    tokenizer = "tokenizer"

    def process_input_with_cached_prompt(self, text: str, **_: object) -> dict[str, Any]:
        """See the library."""
        return {"text": text}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The library's modules, with two voices that are known."""
    torch, model = FakeTorch(), FakeModel()
    loads = SimpleNamespace(from_pretrained=lambda _, **__: model)
    modules = {
        "torch": torch,
        "transformers.modeling_outputs": SimpleNamespace(BaseModelOutputWithPast=Output),
        "transformers.cache_utils": SimpleNamespace(DynamicCache=dict),
        "vibevoice.modular.modeling_vibevoice_streaming_inference": SimpleNamespace(
            VibeVoiceStreamingForConditionalGenerationInference=loads
        ),
        "vibevoice.processor.vibevoice_streaming_processor": SimpleNamespace(
            VibeVoiceStreamingProcessor=SimpleNamespace(from_pretrained=lambda _: FakeProcessor())
        ),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    known = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("en-A", "kr-B")}
    monkeypatch.setattr(tts_vibevoice, "_VOICES", known)
    torch.files = {name: {"lm": {"voice": name}} for name in known}
    return SimpleNamespace(torch=torch, model=model)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the files of both voices."""
    for name in ("en-A", "kr-B"):
        (tmp_path / f"{name}.pt").write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def voice(library: SimpleNamespace, folder: Path) -> Iterator[VibeVoice]:
    """One that is loaded, and has forgotten its warm-up."""
    voice = VibeVoice(model=str(folder), voices_dir=str(folder), voice="en-A")
    info = voice.load()
    assert info.voices == ("en-A", "kr-B")
    assert info.languages == ("en", "ko")
    library.model.said.clear()
    yield voice
    voice.close()


def test_chunks_come_as_they_are_made(voice: VibeVoice, library: SimpleNamespace) -> None:
    """Each as int16 of 24 kHz; the prompt is whole for the next phrase."""
    for _ in range(2):
        chunks = list(voice.speak(SpeechRequest("one two")))
        assert [(chunk.rate, chunk.pcm) for chunk in chunks] == [(24_000, b"\xff\x3f")] * 2
    assert library.model.said == [("one two", "en-A")] * 2
    assert library.model.options["tokenizer"] == "tokenizer"


def test_closing_stops_the_library(voice: VibeVoice, library: SimpleNamespace) -> None:
    """It is told, and waited for; the next phrase is whole."""
    library.model.waits = True
    speaking = voice.speak(SpeechRequest("one two"))
    next(speaking)
    speaking.close()
    assert library.model.stopped.is_set()
    library.model.waits = False
    assert len(list(voice.speak(SpeechRequest("one two")))) == 2


def test_a_language_has_its_voice(voice: VibeVoice, library: SimpleNamespace) -> None:
    """Where none is asked for by name; others are refused."""
    list(voice.speak(SpeechRequest("a", language="ko-KR")))
    list(voice.speak(SpeechRequest("b", language="en")))
    list(voice.speak(SpeechRequest("c", voice="kr-B")))
    assert [said[1] for said in library.model.said] == ["kr-B", "en-A", "kr-B"]
    for request in (SpeechRequest("d", voice="mine"), SpeechRequest("d", language="xx")):
        with pytest.raises(BadInput):
            voice.speak(request)


def test_nothing_is_said_of_nothing(voice: VibeVoice, library: SimpleNamespace) -> None:
    """The library is not asked."""
    assert list(voice.speak(SpeechRequest(" ...! "))) == []
    assert library.model.said == []


def test_only_what_the_prompts_need_is_unpickled(voice: VibeVoice, library: Any) -> None:
    """And it becomes what the library takes."""
    (_, name), cache = library.torch.allowed
    assert (name, cache) == (f"{Output.__module__}.Output", dict)
    assert isinstance(voice._voices["en-A"]["lm"], Output)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["en-A", "mine"])
def test_a_voice_that_is_not_the_authors_is_refused(folder: Path, name: str) -> None:
    """A changed file, or one of another name; nothing of it is read."""
    (folder / f"{name}.pt").write_bytes(b"changed")
    with pytest.raises(LoadFailed, match=f"{name}.pt is not a voice of VibeVoice's authors"):
        VibeVoice(model=str(folder), voices_dir=str(folder), voice="en-A").load()


def test_a_missing_voice_is_named(tmp_path: Path) -> None:
    """Before anything is loaded."""
    with pytest.raises(LoadFailed, match=r"needs en-Emma_woman\.pt in"):
        VibeVoice(voices_dir=str(tmp_path)).load()
