"""Fetches what a backend loads into the model hub's cache, and says how far it is."""

from __future__ import annotations

import fnmatch
import importlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, cast

from deployments.contracts import Download, LoadFailed

TELL_EVERY_S = 1.0
MB = 1_000_000

Tell = Callable[[str], None]


def wanted_by(backend: object) -> Sequence[Download]:
    """What a backend has to have on the disk before it loads."""
    ask = getattr(backend, "downloads", None)
    return () if ask is None else cast(Callable[[], Sequence[Download]], ask)()


def fetch(downloads: Sequence[Download], tell: Tell) -> None:
    """Bring each into the cache; what is there already costs one question to the hub.

    Blocks. Without the hub what is cached is used. Raises LoadFailed, naming what is missing.
    """
    for download in downloads:
        with ThreadPoolExecutor(1, thread_name_prefix="download") as thread:
            cached = _size(_blobs(download.repository))
            _watch(download, thread.submit(_fetch, download), cached, tell)


def _fetch(download: Download) -> None:
    hub = _hub()
    try:
        hub.snapshot_download(
            download.repository,
            revision=download.revision,
            allow_patterns=list(download.patterns) or None,
        )
    except Exception as error:  # The hub's client raises errors of several libraries.
        raise LoadFailed(
            f"cannot fetch {download.repository} from the model hub "
            f"({' '.join(str(error).split())[:200]}): connect once, or use the embedded models, "
            "which need no download (`make run`, serve_config.embedded.yaml)"
        ) from error


def _watch(download: Download, fetching: Future[None], cached: int, tell: Tell) -> None:
    """Tell how far a download is until it is done. Raises what it raised."""
    blobs = _blobs(download.repository)
    before, at = cached, time.monotonic()
    total: int | None = None
    while wait([fetching], TELL_EVERY_S).not_done:
        total = _total(download) if total is None else total
        size, now = _size(blobs), time.monotonic()
        if size > cached:
            tell(_described(download.repository, size, total or None, (size - before) / (now - at)))
        before, at = size, now
    fetching.result()


def _described(name: str, size: int, total: int | None, per_second: float) -> str:
    """`downloading org/model: 12 of 145 MB, 3.2 MB/s`."""
    of = f" of {total / MB:.0f}" if total is not None and total >= size else ""
    return f"downloading {name}: {size / MB:.0f}{of} MB, {per_second / MB:.1f} MB/s"


def _total(download: Download) -> int:
    """The size of all its files; 0 where the hub does not say."""
    try:
        info = (
            _hub()
            .HfApi()
            .model_info(download.repository, revision=download.revision, files_metadata=True)
        )
    except Exception:  # noqa: BLE001  How far it is; what is wrong the download itself says.
        return 0
    names = [(file.rfilename, file.size or 0) for file in info.siblings]
    return sum(size for name, size in names if _matches(name, download.patterns))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _blobs(repository: str) -> Path:
    """Where the cache keeps a repository's files, whole ones and parts."""
    cache = importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE
    return Path(cache) / f"models--{repository.replace('/', '--')}" / "blobs"


def _size(folder: Path) -> int:
    """Bytes on the disk; a part may be longer than what was written into it."""
    total = 0
    for file in folder.glob("*"):
        try:
            total += file.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # A part that was whole just now.
    return total


def _hub() -> Any:
    return importlib.import_module("huggingface_hub")
