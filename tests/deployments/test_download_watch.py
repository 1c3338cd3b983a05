"""What this process fetches from the hub, seen by the files that it has open."""

from __future__ import annotations

import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from deployments import download_watch
from deployments.download_watch import MB, watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

HASH = "ab" * 32
LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Looks often, and knows no totals from the test before."""
    monkeypatch.setattr(download_watch, "LOOK_EVERY_S", 0.01)
    download_watch._total.cache_clear()
    yield
    download_watch._total.cache_clear()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """In place of the hub's library, which the core environment lacks: its list of files."""
    files: list[Any] = []

    def model_info(_repository: str, **_options: object) -> Any:
        if not files:
            raise OSError("no answer")
        return SimpleNamespace(siblings=files)

    library: Any = ModuleType("huggingface_hub")
    library.HfApi = lambda: SimpleNamespace(model_info=model_info)
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    return files


def part(cache: Path) -> Path:
    """Where a file of org/model is written."""
    blobs = cache / "models--org--model" / "blobs"
    blobs.mkdir(parents=True)
    return blobs / f"{HASH}.1234.incomplete"


def test_a_download_says_how_far_it_is(tmp_path: Path, hub: list[Any]) -> None:
    """How much of how much, how fast, and that it is over."""
    hub.append(SimpleNamespace(blob_id="x", lfs=None, size=1))
    hub.append(SimpleNamespace(blob_id="y", lfs=SimpleNamespace(sha256=HASH), size=3 * MB))
    told: queue.Queue[str | None] = queue.Queue()
    with watched(told.put):
        with part(tmp_path).open("wb") as file:
            file.write(b"x" * 2 * MB)
            file.flush()
            state = told.get(timeout=LIMIT_S)
            while state is not None and "2 of 3 MB" not in state:
                state = told.get(timeout=LIMIT_S)
            assert state is not None
            assert state.startswith("downloading org/model: 2 of 3 MB, ")
            assert state.endswith(" MB/s")
        while told.get(timeout=LIMIT_S) is not None:
            pass


def test_a_hub_that_says_nothing_leaves_the_total_out(tmp_path: Path, hub: list[Any]) -> None:
    """What is there is known without it."""
    assert hub == []
    told: queue.Queue[str | None] = queue.Queue()
    with watched(told.put), part(tmp_path).open("wb"):
        assert (told.get(timeout=LIMIT_S) or "").startswith("downloading org/model: 0 MB, ")


@pytest.mark.usefixtures("hub")
def test_a_childs_download_is_ours(tmp_path: Path) -> None:
    """A model's engine may be a process of its own."""
    told: queue.Queue[str | None] = queue.Queue()
    code = f"file = open({str(part(tmp_path))!r}, 'wb'); input()"
    with (
        watched(told.put),
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child,
    ):
        assert "org/model" in (told.get(timeout=LIMIT_S) or "")
        child.communicate(b"\n")


def test_other_files_are_no_downloads(tmp_path: Path) -> None:
    """Whatever else is open, and another process's download, are not told."""
    looks: list[object] = []
    with (tmp_path / "x.incomplete").open("wb"), (tmp_path / "model").open("wb"):
        looks.extend(download_watch._parts())
    assert looks == []
