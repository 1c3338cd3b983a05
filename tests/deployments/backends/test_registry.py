"""The registry: names, settings, missing libraries, and what a model-choice override makes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deployments import backends
from deployments.backends import BackendConfigError, check, choose, create

ALL = [(stage, name) for stage in ("stt", "llm", "tts") for name in backends.names(stage)]


def test_every_file_is_a_backend() -> None:
    """The embedded and the timed backends are known by the names of their files."""
    assert {"pocketsphinx", "timed", "faster-whisper"} <= set(backends.names("stt"))
    assert {"echo", "eliza", "openai", "timed"} <= set(backends.names("llm"))
    assert {"espeak", "timed"} <= set(backends.names("tts"))


@pytest.mark.parametrize(("stage", "name"), ALL)
def test_each_backend_is_built_with_defaults(
    stage: backends.Stage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No backend needs a setting, and building one gives something to load, library or not."""
    monkeypatch.setattr(backends, "find_spec", lambda library: library)
    assert hasattr(create(stage, name, {}), "load")


def test_importing_backends_imports_no_library() -> None:
    """Looking at every backend leaves the libraries of all of them unimported."""
    code = """
import sys
from deployments import backends
for stage in ("stt", "llm", "tts"):
    backends.presets(stage)
print(sorted({"nltk", "openai", "pocketsphinx", "espeakng_loader", "ray"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_unknown_backend_lists_the_known() -> None:
    """A misspelled backend is told which there are."""
    with pytest.raises(BackendConfigError, match=r"unknown tts backend 'espeek': .*espeak.*timed"):
        check("tts", "espeek", {})


def test_a_name_cannot_leave_the_package() -> None:
    """A backend's name is looked up, never imported as it stands."""
    with pytest.raises(BackendConfigError, match="unknown llm backend"):
        create("llm", "..contracts", {})


def test_unknown_setting_is_named_with_the_known() -> None:
    """A misspelled setting is told which there are."""
    with pytest.raises(BackendConfigError, match=r"'espeak': it takes voice, wpm") as caught:
        check("tts", "espeak", {"wpm": 160, "volcie": "de"})
    assert "unknown setting volcie of" in str(caught.value)


def test_backend_without_settings_says_so() -> None:
    """A backend that takes nothing says so."""
    with pytest.raises(BackendConfigError, match="it takes none"):
        check("llm", "echo", {"model": "x"})


def test_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is not installed is named, as pip knows it."""

    def absent(_: str) -> None:
        return None

    monkeypatch.setattr(backends, "find_spec", absent)
    with pytest.raises(BackendConfigError, match=r"pip install espeakng-loader$"):
        create("tts", "espeak", {})


def test_missing_required_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting without a default must be given."""

    class Needy:
        def __init__(self, *, path: str) -> None:
            self.path = path

    monkeypatch.setattr(backends, "_find", lambda *_: Needy)
    with pytest.raises(BackendConfigError, match="needs the setting path"):
        check("llm", "needy", {})


def test_no_override_keeps_the_configuration() -> None:
    """Without an override, and with an empty one, the configured backend stays."""
    for override in (None, ""):
        assert choose("tts", "espeak", {"wpm": 9}, override) == ("espeak", {"wpm": 9})


def test_preset_replaces_another_backend() -> None:
    """A preset brings its backend and its settings, and none of the other backend's."""
    chosen = choose("llm", "eliza", {"seed": 1}, "gpt4omini")
    assert chosen == ("openai", {"model": "gpt-4o-mini"})


def test_preset_of_the_configured_backend_keeps_its_settings() -> None:
    """A preset of the configured backend overrides just its own settings."""
    settings = {"model": "other", "base_url": "http://127.0.0.1:1/v1"}
    assert choose("llm", "openai", settings, "gpt4omini") == (
        "openai",
        {"model": "gpt-4o-mini", "base_url": "http://127.0.0.1:1/v1"},
    )


def test_backend_name_as_override() -> None:
    """A backend's name chooses it; the settings stay only where it was configured already."""
    assert choose("llm", "eliza", {"seed": 1}, "echo") == ("echo", {})
    assert choose("llm", "eliza", {"seed": 1}, "eliza") == ("eliza", {"seed": 1})


def test_hub_id_is_the_configured_backends_model() -> None:
    """Anything else is a model of the configured backend."""
    chosen = choose("llm", "openai", {"max_tokens": 9}, "Qwen/Qwen2.5-1.5B-Instruct")
    assert chosen == ("openai", {"max_tokens": 9, "model": "Qwen/Qwen2.5-1.5B-Instruct"})


def test_hub_id_for_a_backend_without_models_lists_the_presets() -> None:
    """A backend that takes no model refuses one and lists the presets."""
    with pytest.raises(BackendConfigError, match=r"preset \(.*gpt4omini.*'eliza' takes no model"):
        choose("llm", "eliza", {}, "Qwen/Qwen2.5-1.5B-Instruct")


def test_errors_are_one_line() -> None:
    """What the operator reads is one line."""
    with pytest.raises(BackendConfigError) as caught:
        check("llm", "openai", {"a": 1, "b": 2})
    assert "\n" not in str(caught.value)
    assert "unknown setting a, b" in str(caught.value)


def test_a_missing_library_whose_package_has_another_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The package is named: `pip install whisper` would fetch something else."""
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    with pytest.raises(BackendConfigError, match=r"needs whisper.*pip install openai-whisper$"):
        check("stt", "openai-whisper", {})
