"""Keys: made, found by their hashes, expired; files that are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve_app.access.key_ring import KeyRing, hash_of, new_key, parse
from serve_app.access.settings import KeyLimits
from serve_app.errors import PeerError

NOW = 1_800_000_000


def refusal(ring: KeyRing, shown: str, now: int = NOW) -> str:
    """Why a key is refused, always as 401 and close 3000."""
    with pytest.raises(PeerError) as caught:
        ring.find(shown, now)
    error = caught.value
    assert (error.code, error.status, error.close_code) == ("invalid_api_key", 401, 3000)
    return error.message


def test_a_key_is_found_by_its_hash_alone() -> None:
    """The line does not hold the key; the key leads to its line."""
    shown, line = new_key("phone", "anna")
    assert shown not in line
    assert shown.rpartition("_")[2] not in line
    assert hash_of(shown) in line
    key = parse(line).find(shown, NOW)
    assert (key.name, key.owner, key.expires) == ("phone", "anna", None)
    assert hash_of(shown) not in repr(key)


def test_no_two_keys_are_the_same() -> None:
    """Each has 256 random bits."""
    keys = {new_key("a", "a")[0] for _ in range(50)}
    assert len(keys) == 50
    assert {len(key) for key in keys} == {len("parley_") + 12 + len("_") + 43}


def test_of_several_keys_the_shown_one_counts() -> None:
    """Whatever else is in the file."""
    made = [new_key(f"n{at}", f"o{at}") for at in range(5)]
    ring = parse("# our keys\n\n" + "".join(line for _, line in made))
    assert len(ring) == 5
    assert [ring.find(shown, NOW).owner for shown, _ in made] == [f"o{at}" for at in range(5)]


def test_a_changed_key_is_another() -> None:
    """The right id with any other secret opens nothing, nor does the hash itself."""
    shown, line = new_key("a", "a")
    ring = parse(line)
    start, _, secret = shown.rpartition("_")
    wrong = [
        shown + "x",
        shown[:-1],
        shown[:-1] + ("a" if shown[-1] != "a" else "b"),
        f"{start}_{secret.swapcase()}",
        start + "_",
        f"PARLEY{shown.removeprefix('parley')}",
        shown.removeprefix("parley_"),
        f"{start}_{hash_of(shown)}",
        hash_of(shown),
        f" {shown}",
        shown + "\0",
        shown + "x" * 10_000,
        "",
        "_",
        "parley__",
    ]
    assert {refusal(ring, other) for other in wrong} == {"this key is not known here"}


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    """By the typed error alone."""
    refusal(parse(new_key("a", "a")[1]), text)


def test_a_key_expires_to_the_second() -> None:
    """By the server's clock."""
    end = datetime.fromtimestamp(NOW, UTC)
    shown, line = new_key("a", "a", end)
    ring = parse(line)
    assert ring.find(shown, NOW - 1).name == "a"
    assert refusal(ring, shown) == "this key has expired"
    key_id = shown.split("_")[1]
    assert ring.by_id(key_id, NOW - 1).name == "a"
    with pytest.raises(PeerError, match="expired"):
        ring.by_id(key_id, NOW)
    with pytest.raises(PeerError, match="any more"):
        parse("").by_id(key_id, NOW)


def test_a_line_may_say_what_its_key_may_use() -> None:
    """Else the default holds."""
    line = new_key("a", "a", None, KeyLimits(calls=2))[1]
    default = KeyLimits(calls=9, calls_per_minute=8)
    shown, line = new_key("a", "a", None, KeyLimits(calls=2))
    limits = parse(line).find(shown, NOW).limits(default)
    assert limits == KeyLimits(calls=2, calls_per_minute=8)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "the line: Invalid JSON"),
        ("[]", "the line: "),
        ("null", "the line: "),
        ("{}", "id: Field required"),
        ('{"id": "x"}', "id: String should match"),
        ('{"id": "0123456789ab", "owner": "a", "name": "a", "sha256": "no"}', "sha256: "),
        ('{"id": "0123456789ab", "owner": "a\\n", "name": "a"}', "owner: "),
        ('{"id": "0123456789ab", "owner": "a", "name": "a", "key": "secret"}', "key: Extra"),
    ],
)
def test_a_line_that_is_none_is_named(line: str, says: str) -> None:
    """By its number and field; what stands in it is not repeated."""
    good = new_key("a", "a")[1]
    if '"sha256"' not in line and '"owner"' in line:
        line = line.replace("}", f', "sha256": "{"0" * 64}"}}')
    with pytest.raises(ValueError, match=r"^line 2: ") as caught:
        parse(good + line)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_expiry_without_a_zone_is_refused() -> None:
    """Nobody knows when that is."""
    line = new_key("a", "a", datetime.now(UTC) + timedelta(days=1))[1]
    naive = line.replace('Z"', '"', 1)
    assert naive != line
    with pytest.raises(ValueError, match="expires"):
        parse(naive)


def test_an_id_stands_for_one_key() -> None:
    """A line that was copied is a slip."""
    line = new_key("a", "a")[1]
    with pytest.raises(ValueError, match="line 2: there are two"):
        parse(line + line)


@given(st.text())
def test_any_file_is_read_or_refused(text: str) -> None:
    """By ValueError alone."""
    try:
        parse(text)
    except ValueError:
        return


@pytest.mark.parametrize("name", ["", " a", "a\nb", "x" * 65, "ä", '"'])
def test_names_are_plain(name: str) -> None:
    """They stand in logs and tables."""
    with pytest.raises(ValidationError):
        new_key(name, "a")
    with pytest.raises(ValidationError):
        new_key("a", name)
