"""What models on PyTorch share: where they run, how a voice comes up, how their memory goes back.

Imports torch only once a model of it loads.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module

from deployments.backend_protocols import TextToSpeech
from deployments.contracts import BadInput, LoadFailed, SpeechRequest


def torch_device(wanted: str) -> str:
    """`wanted`, or for "auto" a GPU where torch sees one."""
    if wanted != "auto":
        return wanted
    return "cuda" if import_module("torch").cuda.is_available() else "cpu"


@contextmanager
def warmed_up(voice: TextToSpeech, named: str, phrase: str) -> Generator[None, None, None]:
    """Around a voice's load, which the phrase ends: what fails either closes the voice.

    Raises LoadFailed, which names the voice, for a recording that it cannot speak with.
    """
    try:
        yield
        for _ in voice.speak(SpeechRequest(phrase)):
            pass
    except BadInput as error:
        voice.close()
        raise LoadFailed(f"{named}: {error}") from error
    except BaseException:
        voice.close()
        raise


def check_english(request: SpeechRequest, backend: str, max_characters: int) -> None:
    """Raise BadInput for what a voice of English clones alone cannot say."""
    if request.language is not None and request.language.lower()[:2] != "en":
        raise BadInput(f"{backend} speaks English, not {request.language!r}")
    if request.voice is not None and request.recording is None:
        raise BadInput(f"there is no voice {request.voice!r}")
    if len(request.text) > max_characters:
        raise BadInput(f"a phrase has at most {max_characters} characters")


def forget(owner: object, *names: str) -> None:
    """Drop these attributes, set or not, and what a GPU held for them."""
    for name in names:
        vars(owner).pop(name, None)
    if torch := sys.modules.get("torch"):
        torch.cuda.empty_cache()
