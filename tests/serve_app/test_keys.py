"""The command that makes keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from serve_app.access.key_ring import parse
from serve_app.keys import main

NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a test says."""
    monkeypatch.delenv("PARLEY_KEYS_FILE", raising=False)


def test_a_key_is_shown_once_and_kept_as_a_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output is the key and nothing else; the file is for its owner alone."""
    path = tmp_path / "keys.jsonl"
    assert main(["new", "phone", "--file", str(path)]) == 0
    shown = capsys.readouterr().out.strip()
    assert shown not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert parse(path.read_text()).find(shown, NOW).owner == "phone"


def test_more_keys_follow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last line, be it whole or not; the file may be named by the environment."""
    path = tmp_path / "keys.jsonl"
    path.write_text("# ours")
    monkeypatch.setenv("PARLEY_KEYS_FILE", str(path))
    options = ["--owner", "anna", "--days", "2", "--calls", "3", "--requests-per-minute", "9"]
    assert main(["new", "a", *options]) == 0
    assert main(["new", "b"]) == 0
    first, second = capsys.readouterr().out.split()
    ring = parse(path.read_text())
    key = ring.by_id(first.split("_")[1], 0)
    assert (key.owner, key.calls, key.calls_per_minute, key.requests_per_minute) == (
        "anna",
        3,
        None,
        9,
    )
    assert key.expires is not None
    assert ring.find(second, NOW).name == "b"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "name the file"),
        (["--file", "/nowhere/keys"], "/nowhere/keys: No such file"),
        (["--file", "x", "--calls", "0"], "calls: "),
        (["--file", "x", "--owner", "\n"], "owner: "),
        (["--file", "x", "--days", "0"], "--days"),
        (["--file", "x", "--days", "9999999"], "--days"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    options: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No key is made."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", "a", *options]) == 1
    said = capsys.readouterr()
    assert says in said.err
    assert (said.out, said.err.count("\n"), list(tmp_path.iterdir())) == ("", 1, [])
