"""Other interpreters, looked into: what they must have to run a stage."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from serve_app import environments
from serve_app.environments import ROOT, check_environment, interpreter
from serve_app.errors import ConfigError


def says(directory: Path, answer: str) -> str:
    """An interpreter that answers this, whatever it is asked."""
    path = directory / "python"
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return str(path)


def test_this_interpreter_is_fit() -> None:
    """Its Python and its Ray are the graph's, and libraries are found without importing them."""
    check_environment("tts", sys.executable, ("ray", "antigravity"))


def test_a_relative_path_starts_at_the_repository() -> None:
    """Wherever the worker runs; and links are not followed out of the environment."""
    assert interpreter(".venv-x/bin/python") == ROOT / ".venv-x/bin/python"
    assert interpreter("/opt/x/python") == Path("/opt/x/python")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ('[[3, 9], "2.60.0", []]', "is Python 3.9"),
        (f"[{list(sys.version_info[:2])}, null, []]", "has Ray not at all"),
        (f'[{list(sys.version_info[:2])}, "1.0", []]', "has Ray 1.0"),
    ],
)
def test_another_python_or_ray_is_refused(tmp_path: Path, answer: str, words: str) -> None:
    """Neither can meet the graph's."""
    with pytest.raises(ConfigError, match=words):
        check_environment("tts", says(tmp_path, answer), ())


def test_a_missing_library_is_named() -> None:
    """With the interpreter that lacks it, and the command that installs it."""
    with pytest.raises(ConfigError, match=r"lacks no_such_thing: `make env-gpu`"):
        check_environment("tts", sys.executable, ("ray", "no_such_thing"))


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    """Before Ray looks for it for ever."""
    with pytest.raises(ConfigError, match=r"no interpreter at .*nowhere"):
        check_environment("tts", str(tmp_path / "nowhere"), ())


def test_an_interpreter_that_does_not_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it fails or hangs."""
    path = tmp_path / "python"
    path.write_text("#!/bin/sh\nexit 3\n")
    path.chmod(0o755)
    with pytest.raises(ConfigError, match="does not run"):
        check_environment("tts", str(path), ())
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(environments, "ANSWER_S", 0.2)
    with pytest.raises(ConfigError, match="does not run"):
        check_environment("tts", str(path), ())
