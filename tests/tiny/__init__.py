"""Random-weight checkpoints of the real models' classes, small enough to build in a test.

One file a model family. `settings` gives a backend's settings for the contract suites, with its
checkpoint built; a library is imported only by the file that needs it.
"""

from __future__ import annotations

from importlib import import_module

import pytest

from deployments.backends import Stage

_BUILDERS: dict[tuple[Stage, str], str] = {
    ("tts", "pocket-tts"): "pocket",
    ("stt", "faster-whisper"): "whisper",
    ("stt", "openai-whisper"): "openai_whisper",
    ("stt", "nemotron"): "nemotron",
    ("llm", "vllm"): "qwen2",
    ("tts", "voxtream"): "voxtream",
    ("tts", "chatterbox"): "chatterbox",
    ("tts", "coqui"): "coqui",
}
"""By stage and backend: the module here whose `build(factory)` returns the backend's settings."""


def speaks_words(name: str) -> bool:
    """Whether a voice knows words: how long one of random weights speaks says nothing."""
    return ("tts", name) not in _BUILDERS


def hears_words(name: str) -> bool:
    """Whether a recogniser knows words: one of random weights makes up text, or none at all."""
    return ("stt", name) not in _BUILDERS


def settings(stage: Stage, name: str, factory: pytest.TempPathFactory) -> dict[str, object]:
    """What to build the backend with; nothing for one that needs no checkpoint."""
    if (stage, name) not in _BUILDERS:
        return {}
    return import_module(f"{__name__}.{_BUILDERS[stage, name]}").build(factory)
