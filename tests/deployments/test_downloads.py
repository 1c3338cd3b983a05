"""What a backend needs from the hub: fetched, watched, and named where it cannot be had."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from deployments import downloads
from deployments.contracts import Download, LoadFailed
from deployments.downloads import MB, fetch, wanted_by

REPOSITORY = "org/model"
WEIGHTS = 3 * MB


class Hub:
    """A model hub whose download goes on as the test lets it."""

    def __init__(self, cache: Path) -> None:
        self.blobs = cache / "models--org--model" / "blobs"
        self.asked: list[dict[str, Any]] = []
        self.download: Callable[[], None] = lambda: None
        self.lists_files = True

    def snapshot_download(self, repository: str, **options: Any) -> str:
        """As the hub's library has it."""
        self.asked.append({"repository": repository, **options})
        self.download()
        return "folder"

    def model_info(self, _repository: str, **_options: Any) -> Any:
        """Two files, of which a pattern may want one."""
        if not self.lists_files:
            raise OSError("no answer")
        files = [("model.safetensors", WEIGHTS), ("model.bin", 7 * WEIGHTS), ("config.json", None)]
        return SimpleNamespace(
            siblings=[SimpleNamespace(rfilename=name, size=size) for name, size in files]
        )

    def write(self, size: int) -> None:
        """So much of the weights is on the disk."""
        self.blobs.mkdir(parents=True, exist_ok=True)
        (self.blobs / "a.incomplete").write_bytes(b"x" * size)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """In place of the library, which the core environment does not have."""
    stand_in = Hub(tmp_path)
    library: Any = ModuleType("huggingface_hub")
    library.snapshot_download = stand_in.snapshot_download
    library.HfApi = lambda: stand_in
    constants: Any = ModuleType("huggingface_hub.constants")
    constants.HF_HUB_CACHE = str(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", constants)
    monkeypatch.setattr(downloads, "TELL_EVERY_S", 0.01)
    return stand_in


def test_a_backend_that_says_nothing_needs_nothing() -> None:
    """And the hub's library is not looked for."""
    assert wanted_by(object()) == ()
    fetch((), pytest.fail)


def test_what_is_cached_is_asked_for_and_not_told_of(hub: Hub) -> None:
    """With the revision and the patterns that the backend wants."""
    hub.write(WEIGHTS)
    fetch([Download(REPOSITORY, ("*.safetensors",), "abc")], pytest.fail)
    [asked] = hub.asked
    assert asked == {
        "repository": REPOSITORY,
        "revision": "abc",
        "allow_patterns": ["*.safetensors"],
    }


@pytest.mark.parametrize(
    ("patterns", "lists_files", "size"),
    [(("*.safetensors",), True, " of 3 MB"), ((), True, " of 24 MB"), ((), False, " MB")],
)
def test_a_download_says_how_far_it_is(
    hub: Hub, patterns: tuple[str, ...], lists_files: bool, size: str
) -> None:
    """How much of how much, and how fast; without the total where the hub does not say."""
    hub.lists_files = lists_files
    told: list[str] = []
    heard = threading.Event()

    def tell(state: str) -> None:
        told.append(state)
        heard.set()

    def download() -> None:
        hub.write(MB)
        assert heard.wait(10)

    hub.download = download
    fetch([Download(REPOSITORY, patterns)], tell)
    assert told[0].startswith(f"downloading {REPOSITORY}: 1{size}")
    assert told[0].endswith(" MB/s")


def test_what_cannot_be_fetched_is_named(hub: Hub) -> None:
    """In one line, with the way to run without it."""

    def fail() -> None:
        raise OSError("no route\n to host")

    hub.download = fail
    with pytest.raises(LoadFailed) as caught:
        fetch([Download(REPOSITORY)], pytest.fail)
    said = str(caught.value)
    assert said.startswith(f"cannot fetch {REPOSITORY} from the model hub (no route to host)")
    assert "serve_config.embedded.yaml" in said
    assert "\n" not in said
