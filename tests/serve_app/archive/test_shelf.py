"""The files of recordings: whose they are, who may read them, which go, what is read of them."""

from __future__ import annotations

import io
import json
import stat
import threading
import zipfile
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock, call

import pytest

from serve_app.archive import playback, writer
from serve_app.archive.__main__ import main
from serve_app.archive.archive import Archive
from serve_app.archive.bundle import Bundle
from serve_app.archive.records import Begun, Ended, Line, Record, Sound, decode, encode
from serve_app.archive.sealed import Unreadable
from serve_app.archive.settings import RecordingSettings, sealing_key
from serve_app.archive.writer import RecordingFile, ThreadedWriter
from serve_app.errors import ConfigError
from tests.archives import KEY, NOW, archive_in, only, sides

BEGUN = Begun("call", "anna", "/ws", NOW)
LINE = Line(20, "caller", "good morning")


def kept(archive: Archive, owner: str = "anna", at: int = NOW, seconds: float = 1.0) -> Path:
    """A recording."""
    path = archive.shelf.new_path(owner, at)
    file = RecordingFile(path, archive.key)
    file.begin(Begun("call", owner, "/ws", at))
    file.write(Sound(16_000, b"\1\0\2\0" * round(seconds * 16_000)))
    file.write(LINE)
    file.end(Ended(at + 1, 0))
    return path


@pytest.mark.parametrize("record", [BEGUN, Sound(5, b"abcd"), LINE, Ended(NOW, 2)])
def test_records_are_read_as_they_were_written(record: Record) -> None:
    """Each kind."""
    assert decode(encode(record)) == record


def test_half_a_character_is_no_obstacle() -> None:
    """A client may type one."""
    assert decode(encode(Line(0, "caller", "so \ud83d"))) == Line(0, "caller", "so ?")


@pytest.mark.parametrize("data", [b"", b"X{}", b"B{}", b"Lnull"])
def test_a_record_of_another_version(data: bytes) -> None:
    """A typed error."""
    with pytest.raises(Unreadable):
        decode(data)


def test_only_the_servers_user_may_look(tmp_path: Path) -> None:
    """Files 0600, folders 0700, and no name that says whose; words are not there in the clear."""
    path = kept(archive_in(tmp_path / "recordings"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, path.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "anna" not in str(path.relative_to(tmp_path))
    assert b"morning" not in path.read_bytes()
    assert b"anna" not in path.read_bytes()


def test_one_owners_are_found_and_erased(tmp_path: Path, no_metrics: MagicMock) -> None:
    """And nobody else's."""
    archive = archive_in(tmp_path)
    late, early = kept(archive, at=NOW), kept(archive, at=NOW - 5)
    other = kept(archive, "bert")
    assert archive.shelf.of("anna") == [early, late]
    assert archive.shelf.erase("anna") == 2
    assert archive.shelf.erase("anna") == 0
    assert list(archive.shelf.all()) == [other]
    removed = no_metrics.recordings_removed.inc.mock_calls
    assert removed == [call(tags={"why": "erased"})] * 2


def test_a_sweep(tmp_path: Path, no_metrics: MagicMock) -> None:
    """What is too old goes, then the oldest until the rest has room; what is no recording stays."""
    archive = archive_in(tmp_path, keep_days=10, max_gb=0.0002)
    archive.sweep()
    old = kept(archive, at=NOW - 11 * 86_400)
    early, late = (kept(archive, at=NOW - age, seconds=2.0) for age in (20, 10))
    (old.parent / "notes.txt").write_text("")
    archive.sweep()
    assert list(archive.shelf.all()) == [late]
    assert (old.parent / "notes.txt").exists()
    assert not early.exists()
    reasons = [
        entry.kwargs["tags"]["why"] for entry in no_metrics.recordings_removed.inc.mock_calls
    ]
    assert sorted(reasons) == ["expired", "no_room"]


def test_its_sound(tmp_path: Path) -> None:
    """The caller left, the agent right, a silence where nothing was said."""
    archive = archive_in(tmp_path)
    path = kept(archive)
    caller, agent = sides(path)
    assert not caller[:16_000].any()
    assert set(caller[16_000:]) == {1}
    assert set(agent[16_000:]) == {2}


def test_a_recording_that_broke_off(tmp_path: Path) -> None:
    """What there is of it is read, and that it is not whole."""
    path = kept(archive_in(tmp_path))
    path.write_bytes(path.read_bytes()[:-100])
    recording = playback.read(path, KEY)
    assert (recording.ended, recording.moments) == (None, 32_000)
    assert recording.told()["complete"] is False
    assert len(sides(path)[0]) == 32_000
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(Unreadable):
        playback.read(path, KEY)


def test_the_writers_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past it jobs are refused, but for those that are owed; all that were taken are done."""
    monkeypatch.setattr(writer, "MAX_WAITING", 2)
    threaded, gate, done = ThreadedWriter(), threading.Event(), list[int]()
    offered = [
        threaded.offer(partial(gate.wait, 20)),
        *(threaded.offer(partial(done.append, n)) for n in (1, 2)),
    ]
    threaded.owe(partial(done.append, 3))
    gate.set()
    threaded.close()
    assert offered == [True, True, False]
    assert done == [1, 3]


def test_a_job_that_raises_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """And the next is done all the same."""
    threaded, done = ThreadedWriter(), list[int]()
    threaded.offer(partial(int, "x"))
    threaded.owe(partial(done.append, 1))
    threaded.close()
    assert done == [1]
    assert "was not written" in caplog.text


@pytest.mark.parametrize("text", ["", "0a1b", "x" * 64, "0a" * 33], ids=len)
def test_no_key_no_recording(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server does not start, and says in one line what is missing; never what it read."""
    monkeypatch.setenv("PARLEY_RECORDING_KEY", text)
    (tmp_path / "key").write_text(text)
    for settings in (RecordingSettings(), RecordingSettings(key_file=str(tmp_path / "key"))):
        with pytest.raises(ConfigError, match="openssl rand -hex 32") as raised:
            sealing_key(settings)
        assert "\n" not in str(raised.value)
        assert not text or text not in str(raised.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        sealing_key(RecordingSettings(key_file=str(tmp_path / "none")))


def test_the_key_of_a_file(tmp_path: Path) -> None:
    """As `openssl rand -hex 32 > FILE` makes it."""
    (tmp_path / "key").write_text(KEY.hex() + "\n")
    assert sealing_key(RecordingSettings(key_file=str(tmp_path / "key"))) == KEY


def test_a_bundle_is_a_zip() -> None:
    """Made in pieces, of members of any length."""
    bundle = Bundle()
    data = b"".join(bundle.add("a.txt", iter([b"one ", b"two"])))
    data += b"".join(bundle.add("b/c.txt", iter([])))
    data += bundle.end()
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == {
            "a.txt": b"one two",
            "b/c.txt": b"",
        }


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lists, makes wav files for the operator's eyes alone, erases."""
    monkeypatch.setenv("PARLEY_RECORDING_KEY", KEY.hex())
    archive = archive_in(tmp_path / "recordings")
    path, _ = kept(archive), kept(archive, "")
    here = ["--directory", str(tmp_path / "recordings")]
    assert main([*here, "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main([*here, "list", "--owner", "anna"]) == 0
    [told] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (told["file"], told["transcript"][0]["text"]) == (str(path), "good morning")
    out = tmp_path / "out.wav"
    assert main([*here, "wav", str(path), str(out)]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_bytes() == b"".join(playback.wav(path, KEY, 32_000))
    assert main([*here, "erase", "--owner", ""]) == 0
    assert capsys.readouterr().out == "1 recordings erased\n"
    assert only(archive) == path
    monkeypatch.setenv("PARLEY_RECORDING_KEY", "11" * 32)
    assert main([*here, "wav", str(path), str(out)]) == 1
    assert capsys.readouterr().err == "archive: chunk 0: another key, or changed\n"
