"""What models on PyTorch share, over a torch that is made up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from deployments.contracts import AudioChunk, BadInput, LoadFailed, SpeechRequest, StageInfo
from deployments.torch_models import check_english, forget, torch_device, warmed_up


class Voice:
    """It says what it is told to, unless that is nothing."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.closed = False

    def load(self) -> StageInfo:
        """Not used."""
        raise NotImplementedError

    def speak(self, request: SpeechRequest) -> Iterator[AudioChunk]:
        """Raises BadInput for no text."""
        if not request.text:
            raise BadInput("nothing to say")
        self.said.append(request.text)
        return iter(())

    def close(self) -> None:
        """It is remembered."""
        self.closed = True


@pytest.fixture
def freed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each time that torch, which sees a GPU, gave its memory back."""
    calls: list[str] = []
    cuda = SimpleNamespace(is_available=lambda: True, empty_cache=lambda: calls.append("freed"))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    return calls


@pytest.mark.usefixtures("freed")
def test_a_device_is_looked_for_only_if_none_is_named() -> None:
    """What is named is not checked."""
    assert (torch_device("auto"), torch_device("cpu")) == ("cuda", "cpu")


def test_what_is_forgotten_need_not_be_there(freed: list[str]) -> None:
    """The rest stays, and the GPU's memory goes back."""
    owner = SimpleNamespace(model="big", name="x")
    forget(owner, "model", "prompts")
    assert (vars(owner), freed) == ({"name": "x"}, ["freed"])


def test_a_voice_that_loads_says_its_phrase_and_stays_open() -> None:
    """Once."""
    voice = Voice()
    with warmed_up(voice, "the voice", "I am ready."):
        assert not voice.said
    assert (voice.said, voice.closed) == (["I am ready."], False)


def test_a_voice_that_cannot_speak_is_closed_and_named() -> None:
    """A recording that does not do is a fault of the configuration."""
    voice = Voice()
    with (
        pytest.raises(LoadFailed, match="the voice: nothing to say"),
        warmed_up(voice, "the voice", ""),
    ):
        pass
    assert voice.closed


def test_a_voice_that_does_not_load_is_closed() -> None:
    """And says why by itself."""
    voice = Voice()
    with pytest.raises(LoadFailed, match="no file"), warmed_up(voice, "the voice", "I am ready."):
        raise LoadFailed("no file")
    assert (voice.said, voice.closed) == ([], True)


@pytest.mark.parametrize(
    "request_",
    [
        SpeechRequest("Hallo.", language="de"),
        SpeechRequest("Hello.", voice="nobody"),
        SpeechRequest("123456"),
    ],
    ids=["language", "voice", "characters"],
)
def test_what_an_english_clone_cannot_say_is_refused(request_: SpeechRequest) -> None:
    """Another language, a voice without its recording, too much."""
    with pytest.raises(BadInput):
        check_english(request_, "it", 5 if request_.text.isdigit() else 10)
    check_english(SpeechRequest("Hello.", "me", "en-GB", recording="me.wav"), "it", 6)
