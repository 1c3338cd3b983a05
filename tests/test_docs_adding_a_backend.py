"""docs/adding-a-backend.md, done step by step: its file, its decorator, its line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deployments import backends
from serve_app.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "adding-a-backend.md").read_text()

PLUGIN = "import deployments.backends\ndeployments.backends.__path__.append({folder!r})\n"


def block(language: str, holding: str) -> str:
    """The page's code block that holds some words."""
    [found] = [
        code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if holding in code
    ]
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's file, where backends are looked for too."""
    (tmp_path / "tts_hum.py").write_text(block("python", "@register"))
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    yield tmp_path
    backends._classes.pop(("tts", "hum"), None)
    backends._presets.pop(("tts", "hum-low"), None)
    sys.modules.pop("deployments.backends.tts_hum", None)


@pytest.mark.usefixtures("folder")
def test_the_line_of_configuration_chooses_it() -> None:
    """With its settings; and its name or its preset does, in the environment."""
    stage = yaml.safe_load(block("yaml", "backend"))["tts"]
    settings = Settings.model_validate(
        {"stt": {"backend": "timed"}, "llm": {"backend": "timed"}, "tts": stage}
    )
    assert settings.tts.backend == "hum"
    backends.check("tts", "hum", settings.tts.settings)
    assert backends.choose("tts", "espeak", {}, "hum") == ("hum", {})
    assert backends.choose("tts", "espeak", {}, "hum-low") == ("hum", {"hertz": 110.0})
    with pytest.raises(backends.BackendConfigError, match="unknown setting herz"):
        backends.check("tts", "hum", {"herz": 330.0})


def test_it_is_what_every_voice_owes(folder: Path) -> None:
    """The page's command passes."""
    [command] = re.findall(r"^    \.venv/bin/python (-m pytest .* --backend tts:hum)$", PAGE, re.M)
    (folder / "with_hum.py").write_text(PLUGIN.format(folder=str(folder)))
    run = subprocess.run(
        [sys.executable, *command.split(), "-p", "with_hum", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) >= 5
