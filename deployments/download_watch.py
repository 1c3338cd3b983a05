"""Sees what this process fetches from the Hugging Face hub, whichever library asks for it.

The hub's library writes a file it fetches into its cache, as `models--org--name/blobs/<hash>…
.incomplete`, and keeps it open: so what this process and its children have open is what they
fetch. Each backend's library fetches in its own way, and none of them says how far it is.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

LOOK_EVERY_S = 1.0
MB = 1_000_000

Tell = Callable[[str | None], None]

_PART, _REPOSITORY = ".incomplete", "models--"


@contextmanager
def watched(tell: Tell) -> Generator[None, None, None]:
    """While this lasts, tell each second how far a download is; None once there is none.

    Where the system shows no open files (other than Linux), nothing is told.
    """
    over = threading.Event()
    thread = threading.Thread(target=_look, args=(over, tell), name="download-watch")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _look(over: threading.Event, tell: Tell) -> None:
    before: dict[Path, int] = {}
    at = time.monotonic()
    while not over.wait(LOOK_EVERY_S):
        parts, now = dict(_parts()), time.monotonic()
        if parts:
            grown = sum(size - before.get(part, 0) for part, size in parts.items())
            tell(_described(parts, max(0, grown) / (now - at)))
        elif before:
            tell(None)
        before, at = parts, now


def _described(parts: dict[Path, int], per_second: float) -> str:
    """`downloading org/model: 12 of 145 MB, 3.2 MB/s`: of the files that are fetched now."""
    names = sorted({_repository(part) for part in parts})
    totals = [_total(_repository(part), part.name.partition(".")[0]) for part in parts]
    of = f" of {sum(totals) / MB:.0f}" if all(totals) else ""
    size = f"{sum(parts.values()) / MB:.0f}{of} MB"
    return f"downloading {', '.join(names)}: {size}, {per_second / MB:.1f} MB/s"


def _repository(part: Path) -> str:
    return part.parents[1].name.removeprefix(_REPOSITORY).replace("--", "/")


@lru_cache
def _total(repository: str, file_hash: str) -> int:
    """The size of the file with this hash; 0 where the hub does not say."""
    try:
        hub: Any = import_module("huggingface_hub")
        info = hub.HfApi().model_info(repository, files_metadata=True)
    except Exception:  # noqa: BLE001  What is wrong with the hub the download itself says.
        return 0
    for file in info.siblings:
        if file_hash in (file.blob_id, file.lfs.sha256 if file.lfs else None):
            return int(file.size or 0)
    return 0


def _parts() -> Iterator[tuple[Path, int]]:
    """The parts of files that are being written here, with the bytes that are there."""
    for process in _family(os.getpid()):
        with suppress(OSError):  # It has ended.
            for handle in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):  # It was closed.
                    path = Path(os.readlink(handle))
                    if path.suffix == _PART and path.parents[1].name.startswith(_REPOSITORY):
                        # A part may be made as long as the whole before it is written.
                        yield path, path.stat().st_blocks * 512


def _family(process: int) -> Iterator[int]:
    """A process and all that it started."""
    yield process
    with suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))
