"""Where a model's files are: in a folder here, or in the model hub's cache, fetched if need be."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

from deployments.contracts import LoadFailed

_SCHEME = "hf://"


def file(repository: str, name: str) -> Path:
    """A file of a local folder, or of a hub repository. Raises LoadFailed, naming it."""
    if not Path(repository).is_dir():
        return Path(_fetch(repository, name, "hf_hub_download", filename=name))
    path = Path(repository, name)
    if not path.is_file():
        raise LoadFailed(f"there is no {name} in {repository}")
    return path


def folder(repository: str, patterns: Sequence[str]) -> Path:
    """A local folder, or that of a hub repository, of which files like these are fetched.

    Raises LoadFailed.
    """
    if Path(repository).is_dir():
        return Path(repository)
    wanted = " ".join(patterns)
    return Path(_fetch(repository, wanted, "snapshot_download", allow_patterns=list(patterns)))


def _fetch(repository: str, wanted: str, function: str, **what: object) -> str:
    try:
        return cast(str, getattr(import_module("huggingface_hub"), function)(repository, **what))
    except (ImportError, OSError, ValueError) as error:
        raise LoadFailed(
            f"{wanted} of {repository!r} is neither in a folder here nor to be had from the hub "
            f"(HF_HOME, HF_HUB_OFFLINE): {error}"
        ) from error


def recording(voice: str) -> Path:
    """A recording: a path, or "hf://owner/repository/file". Raises LoadFailed."""
    if not voice.startswith(_SCHEME):
        if not Path(voice).is_file():
            raise LoadFailed(f"there is no recording {voice!r}")
        return Path(voice)
    owner, _, rest = voice.removeprefix(_SCHEME).partition("/")
    repository, _, name = rest.partition("/")
    return file(f"{owner}/{repository}", name)
