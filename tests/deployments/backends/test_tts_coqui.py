"""XTTS over a small copy of its library's interface: what it is asked for, and what comes of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.backends.tts_coqui import Coqui
from deployments.contracts import BadInput, LoadFailed, SpeechRequest
from tests.fake_torch import FakeTorch, Tensor

CHUNK = [0.0, 0.5]


class FakeXtts:
    """The model: a chunk a word."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, Any]] = []
        self.options: dict[str, object] = {}
        self.left = 0
        self.tokenizer = SimpleNamespace(char_limits={"en": 20})
        self.speaker_manager = SimpleNamespace(
            speakers={name: self._speaker(name) for name in ("Ana", "Ben")}
        )

    def load_checkpoint(self, _: object, *, checkpoint_dir: Path, eval: bool) -> None:
        """See Xtts."""
        assert eval
        if not (checkpoint_dir / "model.pth").exists():
            raise FileNotFoundError("model.pth")

    def to(self, device: str) -> None:
        """See Xtts."""
        assert device == "cpu"

    def get_conditioning_latents(self, recording: Path) -> tuple[Any, Any]:
        """See Xtts."""
        if not recording.exists():
            raise BadInput("the recording cannot be read")
        return tuple(self._speaker(recording.stem).values())

    def inference_stream(
        self, text: str, language: str, latent: Any, embedding: Any, **options: object
    ) -> Iterator[Tensor]:
        """See Xtts."""
        assert latent == embedding
        self.options = options
        self.said.append((text, language, latent))
        try:
            for _ in text.split():
                yield Tensor(CHUNK)
        finally:
            self.left += 1

    def _speaker(self, name: str) -> dict[str, Any]:
        return {"gpt_cond_latent": name, "speaker_embedding": name}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeXtts:
    """The library's modules."""
    model = FakeXtts()
    config = SimpleNamespace(load_json=lambda _: None, languages=["en", "de", "zh-cn"])
    modules = {
        "torch": FakeTorch(),
        "torchaudio": SimpleNamespace(),
        "TTS.tts.configs.xtts_config": SimpleNamespace(XttsConfig=lambda: config),
        "TTS.tts.models.xtts": SimpleNamespace(Xtts=lambda _: model),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's."""
    (tmp_path / "model.pth").touch()
    return tmp_path


@pytest.fixture
def voice(library: FakeXtts, folder: Path) -> Iterator[Coqui]:
    """One that is loaded, and has forgotten its warm-up."""
    voice = Coqui(model=str(folder), voice="Ana", speed=1.5)
    info = voice.load()
    assert info.voices == ("Ana", "Ben")
    assert info.languages == ("en", "de", "zh")
    assert library.said == [("I am ready.", "en", "Ana")]
    library.said.clear()
    library.left = 0
    yield voice
    voice.close()


def test_chunks_come_as_they_are_made(voice: Coqui, library: FakeXtts) -> None:
    """Each as int16 of 24 kHz, with the settings given on."""
    chunks = list(voice.speak(SpeechRequest("one two")))
    assert [(chunk.rate, chunk.pcm) for chunk in chunks] == [(24_000, b"\0\0\xff\x3f")] * 2
    assert library.options == {"stream_chunk_size": 20, "speed": 1.5, "temperature": 0.75}


def test_closing_stops_the_library(voice: Coqui, library: FakeXtts) -> None:
    """After the chunk it is in; the next phrase is whole."""
    speaking = voice.speak(SpeechRequest("one two three"))
    next(speaking)
    speaking.close()
    assert library.left == 1
    assert len(list(voice.speak(SpeechRequest("one two")))) == 2


def test_long_text_is_said_in_pieces(voice: Coqui, library: FakeXtts) -> None:
    """As long as the library takes them in that language."""
    assert len(list(voice.speak(SpeechRequest("one two three four five six")))) == 6
    assert [said[0] for said in library.said] == ["one two three four", "five six"]


def test_voices_and_languages(voice: Coqui, library: FakeXtts, tmp_path: Path) -> None:
    """The model's own, or a registered one's recording; a region does not matter."""
    recording = tmp_path / "reference.wav"
    list(voice.speak(SpeechRequest("a", voice="Ben", language="de-AT")))
    with pytest.raises(BadInput, match="cannot be read"):
        list(voice.speak(SpeechRequest("a", voice="mine", recording=str(recording))))
    assert library.said == [("a", "de", "Ben")]


@pytest.mark.parametrize(
    "request_",
    [SpeechRequest("a", voice="mine"), SpeechRequest("a", language="xx")],
    ids=["voice", "language"],
)
def test_what_it_cannot_say_is_refused(voice: Coqui, request_: SpeechRequest) -> None:
    """At once."""
    with pytest.raises(BadInput):
        voice.speak(request_)


def test_nothing_is_said_of_nothing(voice: Coqui, library: FakeXtts) -> None:
    """The library is not asked."""
    assert list(voice.speak(SpeechRequest(" ...! "))) == []
    assert library.said == []


@pytest.mark.usefixtures("library")
def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    """A file of the model, or a voice that is neither the model's nor a file."""
    with pytest.raises(LoadFailed, match="no recording 'nobody'"):
        Coqui(model=str(folder), voice="nobody").load()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(LoadFailed, match=r"model\.pth"):
        Coqui(model=str(empty), voice="Ana").load()
