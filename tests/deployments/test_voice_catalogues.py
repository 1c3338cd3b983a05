"""Both catalogues: what every one owes, and what each does with data that it cannot read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from deployments.contracts import BadInput, LoadFailed
from deployments.voice_catalogues import (
    Catalogue,
    CatalogueLost,
    Entry,
    FileCatalogue,
    RedisCatalogue,
    write_file,
)
from tests import redis_server

ANNA = Entry("anna", "a" * 32, 1_700_000_000, 4.5)
OTHER_ANNA = Entry("anna", "b" * 32, 1_700_000_001, 5.5)
BERT = Entry("bert", "c" * 32, 1_700_000_002, 6.5)
Open = Callable[[], Catalogue]


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis of this test's own."""
    with redis_server.running(tmp_path) as url:
        yield url


@pytest.fixture(params=["files", "redis"])
def catalogues(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same catalogue anew, as another replica does."""
    opened: list[Catalogue] = []

    def reopen() -> Catalogue:
        if request.param == "files":
            opened.append(FileCatalogue(tmp_path / "store"))
        else:
            opened.append(RedisCatalogue(request.getfixturevalue("redis_url")))
        return opened[-1]

    yield reopen
    for catalogue in opened:
        catalogue.close()


def test_what_one_replica_adds_another_finds(catalogues: Open) -> None:
    """By its name, and among all."""
    one, other = catalogues(), catalogues()
    one.add(ANNA, b"anna's wav")
    one.add(BERT, b"bert's wav")
    assert other.find("anna") == ANNA
    assert sorted(other.entries(), key=lambda entry: entry.name) == [ANNA, BERT]
    assert other.recording(ANNA) in (b"anna's wav", None)


def test_a_name_is_taken_once(catalogues: Open) -> None:
    """The second is refused with a code of its own, and changes nothing."""
    one, other = catalogues(), catalogues()
    one.add(ANNA, b"first")
    with pytest.raises(BadInput, match="delete it first") as caught:
        other.add(OTHER_ANNA, b"second")
    assert caught.value.code == "voice_exists"
    assert other.find("anna") == ANNA
    assert other.recording(OTHER_ANNA) is None


def test_a_removed_name_is_gone_and_free(catalogues: Open) -> None:
    """For every replica; who removes it first learns what it was."""
    one, other = catalogues(), catalogues()
    one.add(ANNA, b"wav")
    assert other.remove("anna") == ANNA
    assert one.remove("anna") is None
    assert one.find("anna") is None
    assert one.recording(ANNA) is None
    one.add(OTHER_ANNA, b"wav")
    assert other.find("anna") == OTHER_ANNA


def test_a_new_catalogue_is_empty(catalogues: Open) -> None:
    """Before anything was ever written."""
    assert catalogues().entries() == []
    assert catalogues().find("anna") is None


def test_redis_keeps_recordings_as_long_as_their_names(redis_url: str) -> None:
    """A recording has no expiry once it has a name, and goes with it."""
    catalogue = RedisCatalogue(redis_url)
    with Redis.from_url(redis_url) as client:
        catalogue.add(ANNA, b"wav")
        [key] = client.keys("*:recording:*")
        assert client.ttl(key) == -1
        catalogue.remove("anna")
        assert client.keys("*") == []
    catalogue.close()


def test_redis_that_is_gone_is_told(tmp_path: Path) -> None:
    """A typed error, without the password that is in the URL."""
    with redis_server.running(tmp_path) as url:
        pass
    catalogue = RedisCatalogue(url.replace("redis://", "redis://user:secret@"))
    for ask in (catalogue.entries, lambda: catalogue.find("anna")):
        with pytest.raises(CatalogueLost) as caught:
            ask()
        assert "secret" not in str(caught.value)
    catalogue.close()


def test_what_is_no_redis_url_does_not_load() -> None:
    """The message names the setting."""
    with pytest.raises(LoadFailed, match="voices_redis_url"):
        RedisCatalogue("http://localhost")


def test_an_entry_that_cannot_be_read_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are there, and the log says so."""
    catalogue = FileCatalogue(tmp_path)
    catalogue.add(ANNA, b"")
    (tmp_path / "names" / "bert.json").write_bytes(b"\xff not JSON")
    assert catalogue.entries() == [ANNA]
    assert catalogue.find("bert") is None
    assert "cannot be read" in caplog.text


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Recordings of people are nobody else's business, and nothing half written is left."""
    write_file(tmp_path / "file", b"data")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


NAMES = st.text(min_size=1, max_size=64)


@given(NAMES, st.uuids(), st.integers(0, 2**40), st.floats(0, 100))
def test_an_entry_is_read_as_it_was_written(name: str, id_: object, at: int, long: float) -> None:
    """Whatever the name."""
    entry = Entry(name, str(id_).replace("-", ""), at, long)
    assert Entry.parse(entry.to_json()) == entry


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_no_entry(text: bytes) -> None:
    """ValueError and nothing but."""
    with pytest.raises(ValueError):
        Entry.parse(text)


@pytest.mark.parametrize("id_", ["", "..", "../../etc", "A" * 32, "a" * 31, "a" * 32 + "\n"])
def test_an_id_cannot_leave_the_folder(id_: str) -> None:
    """It becomes a folder's name, whoever wrote it into the catalogue."""
    with pytest.raises(ValueError):
        Entry.parse(Entry("anna", id_, 1, 4.5).to_json())


def test_an_entry_from_before_owners_were_kept() -> None:
    """It is nobody's; what is no owner is no entry."""
    fields = json.loads(replace(ANNA, owner="anna").to_json())
    assert Entry.parse(json.dumps(fields)).owner == "anna"
    with pytest.raises(ValueError, match="entry"):
        Entry.parse(json.dumps({**fields, "owner": 1}))
    del fields["owner"]
    assert Entry.parse(json.dumps(fields)) == ANNA
