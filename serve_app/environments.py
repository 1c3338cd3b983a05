"""Environments of their own for backends whose libraries conflict: found, and looked into."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import cast

from serve_app.errors import ConfigError, Stage

ROOT = Path(__file__).resolve().parent.parent

ANSWER_S = 30.0
"""Starting an interpreter takes a fraction of a second, on a cold disk some."""

# Libraries are looked for and not imported: importing torch takes seconds.
_PROBE = """
import importlib.metadata, importlib.util, json, sys
def found(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
try:
    ray = importlib.metadata.version("ray")
except importlib.metadata.PackageNotFoundError:
    ray = None
missing = [name for name in sys.argv[1:] if not found(name)]
print(json.dumps([list(sys.version_info[:2]), ray, missing]))
"""


def interpreter(python: str) -> Path:
    """Where an interpreter named in the settings lies: a relative path starts at the repository.

    Links are kept: a virtual environment's interpreter is one, and what it finds hangs on it.
    """
    return ROOT / python


def check_environment(stage: Stage, python: str, libraries: Sequence[str]) -> None:
    """Raises ConfigError unless that interpreter can run the stage: its Python and Ray are those
    of this one, and the libraries are there."""
    path = interpreter(python)
    if not path.is_file():
        raise ConfigError(
            f"{stage}: there is no interpreter at {path}: `make env-gpu` makes the environments, "
            f"{stage}.placement.python names one"
        )
    theirs, ray, missing = _looked_into(stage, path, libraries)
    ours = list(sys.version_info[:2])
    if theirs != ours:
        raise ConfigError(
            f"{stage}: {path} is Python {_dotted(theirs)}, the graph's is {_dotted(ours)}: "
            f"make that environment anew with the same Python"
        )
    if ray != version("ray"):
        raise ConfigError(
            f"{stage}: {path} has Ray {ray or 'not at all'}, the graph has {version('ray')}: "
            f"install ray[serve]=={version('ray')} there"
        )
    if missing:
        raise ConfigError(
            f"{stage}: {path} lacks {', '.join(missing)}: `make env-gpu` installs the environments"
        )


def _looked_into(
    stage: Stage, path: Path, libraries: Sequence[str]
) -> tuple[list[int], str | None, list[str]]:
    command = [str(path), "-c", _PROBE, *libraries]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{stage}: {path} does not run: {error}") from error
    return cast(tuple[list[int], str | None, list[str]], json.loads(answer.stdout))


def _dotted(numbers: Sequence[int]) -> str:
    return ".".join(map(str, numbers))
