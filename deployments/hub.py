"""Where a model's file is: in a folder here, or in the model hub's cache, fetched if need be."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from deployments.contracts import LoadFailed

_SCHEME = "hf://"


def file(repository: str, name: str) -> Path:
    """A file of a local folder, or of a hub repository. Raises LoadFailed, naming it."""
    folder = Path(repository)
    if folder.is_dir():
        if not (folder / name).is_file():
            raise LoadFailed(f"there is no {name} in {folder}")
        return folder / name
    try:
        return Path(cast(str, import_module("huggingface_hub").hf_hub_download(repository, name)))
    except (ImportError, OSError, ValueError) as error:
        raise LoadFailed(
            f"{name} of {repository!r} is neither in a folder here nor to be had from the hub "
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
