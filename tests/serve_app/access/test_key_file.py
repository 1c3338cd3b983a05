"""The key file: rotated under a running server, broken, gone."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from serve_app.access.key_file import LOOK_EVERY_S, MAX_FILE_BYTES, KeyFile
from serve_app.access.key_ring import KeyRing, new_key
from serve_app.errors import ConfigError, PeerError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the keys are."""
    return tmp_path / "keys.jsonl"


def opens(ring: KeyRing, shown: str) -> bool:
    """Whether a key is good."""
    try:
        ring.find(shown, 0)
    except PeerError:
        return False
    return True


def test_a_key_comes_and_goes_with_its_line(path: Path) -> None:
    """Without a restart, within the time between two looks."""
    old, old_line = new_key("old", "a")
    new, new_line = new_key("new", "a")
    path.write_text(old_line)
    file = KeyFile(str(path), 0.0)
    path.write_text(old_line + new_line)
    assert not opens(file.ring(LOOK_EVERY_S / 2), new)
    assert opens(file.ring(LOOK_EVERY_S), new)
    path.write_text(new_line)
    ring = file.ring(2 * LOOK_EVERY_S)
    assert (opens(ring, old), opens(ring, new)) == (False, True)


def test_a_file_that_is_replaced_is_read(path: Path) -> None:
    """As a mounted secret is: another file of the same length and time."""
    lines = [new_key("a", "a")[1] for _ in range(2)]
    path.write_text(lines[0])
    file = KeyFile(str(path), 0.0)
    before = path.stat()
    other = path.with_name("other")
    other.write_text(lines[1])
    os.utime(other, ns=(before.st_mtime_ns, before.st_mtime_ns))
    ring = file.ring(LOOK_EVERY_S)
    other.replace(path)
    assert file.ring(2 * LOOK_EVERY_S) is not ring


def test_an_unchanged_file_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking is all that a call costs."""
    path.write_text(new_key("a", "a")[1])
    file = KeyFile(str(path), 0.0)
    monkeypatch.setattr(Path, "open", None)
    assert len(file.ring(LOOK_EVERY_S)) == 1


@pytest.mark.parametrize("text", ["{", None, "x" * (MAX_FILE_BYTES + 1)])
def test_a_file_that_breaks_shuts_nobody_out(
    path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys read before hold, the log says why, and a mended file counts."""
    shown, line = new_key("a", "a")
    path.write_text(line)
    file = KeyFile(str(path), 0.0)
    path.unlink() if text is None else path.write_text(text)
    with caplog.at_level(logging.ERROR):
        assert opens(file.ring(LOOK_EVERY_S), shown)
    assert "those read before hold" in caplog.text
    path.write_text("")
    assert not opens(file.ring(2 * LOOK_EVERY_S), shown)


@pytest.mark.parametrize("text", ["{", None, "\udcff"])
def test_a_server_does_not_start_without_its_keys(path: Path, text: str | None) -> None:
    """Rather than with none, or open to all."""
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=f"auth.keys_file {path}: "):
        KeyFile(str(path), 0.0)
