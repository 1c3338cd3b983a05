"""Where files are found, and what is said of one that is not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from deployments import hub
from deployments.contracts import LoadFailed


def absent(*_: object, **__: object) -> str:
    """A hub that cannot be reached."""
    raise OSError("no route to the hub")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's client fails as it does without a network."""
    client = SimpleNamespace(hf_hub_download=absent, snapshot_download=absent)
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)


@pytest.mark.usefixtures("offline")
def test_files_of_a_folder_need_no_hub(tmp_path: Path) -> None:
    """A model may be a folder, and a voice a file."""
    (tmp_path / "config.json").write_text("{}")
    assert hub.file(str(tmp_path), "config.json") == tmp_path / "config.json"
    assert hub.folder(str(tmp_path), ["*.json"]) == tmp_path
    assert hub.recording(str(tmp_path / "config.json")) == tmp_path / "config.json"


def test_the_hub_is_asked_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """By repository and name; a voice's too."""
    client = SimpleNamespace(
        hf_hub_download=lambda repository, filename: f"/{repository}/{filename}",
        snapshot_download=lambda repository, allow_patterns: f"/{repository}/{allow_patterns}",
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    assert hub.file("an/owner", "a.json") == Path("/an/owner/a.json")
    assert hub.folder("an/owner", ["*.json"]) == Path("/an/owner/['*.json']")
    assert hub.recording("hf://an/owner/a/b.wav") == Path("/an/owner/a/b.wav")


@pytest.mark.usefixtures("offline")
def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """The file, and where it was looked for."""
    with pytest.raises(LoadFailed, match=r"no config\.json in"):
        hub.file(str(tmp_path), "config.json")
    with pytest.raises(LoadFailed, match=r"config\.json of 'an/owner'.*no route"):
        hub.file("an/owner", "config.json")
    with pytest.raises(LoadFailed, match=r"\*\.json of 'an/owner'"):
        hub.folder("an/owner", ["*.json"])
    with pytest.raises(LoadFailed, match=r"no recording 'mine\.wav'"):
        hub.recording("mine.wav")
