"""The sealed file: what goes in comes out, what was changed does not, what broke off does."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.archive.sealed import MAX_CHUNK_BYTES, Sealer, Unreadable, unseal

KEY = bytes(range(32))
CHUNKS = [b"one", b"", b"three" * 1_000]


def sealed(chunks: list[bytes] = CHUNKS, key: bytes = KEY, ended: bool = True) -> bytes:
    """A file of these chunks."""
    sealer = Sealer(key)
    last = len(chunks) - 1 if ended else None
    return sealer.head + b"".join(
        sealer.seal(chunk, last=number == last) for number, chunk in enumerate(chunks)
    )


def unsealed(data: bytes, key: bytes = KEY) -> list[tuple[bytes, bool]]:
    """What can be read of it."""
    return list(unseal(key, io.BytesIO(data)))


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_a_round_trip(chunks: list[bytes]) -> None:
    """Whatever the chunks; the last is marked."""
    assert unsealed(sealed(chunks)) == [
        (chunk, number == len(chunks) - 1) for number, chunk in enumerate(chunks)
    ]


def test_nothing_of_it_stands_there_in_the_clear() -> None:
    """And the same sealed twice is nothing alike."""
    one, other = sealed([b"my secret words"]), sealed([b"my secret words"])
    assert b"secret" not in one
    assert one[8:] != other[8:]


@given(st.data())
def test_no_bit_can_be_changed(data: st.DataObject) -> None:
    """At the changed chunk reading ends, with an error or as if it broke off there; nothing
    that was not sealed is ever read, and the end is never taken for it."""
    file = bytearray(sealed())
    at = data.draw(st.integers(0, len(file) - 1))
    file[at] ^= 1 << data.draw(st.integers(0, 7))
    read: list[tuple[bytes, bool]] = []
    try:
        for chunk in unseal(KEY, io.BytesIO(bytes(file))):
            read.append(chunk)
    except Unreadable:
        pass
    assert [plain for plain, _ in read] == CHUNKS[: len(read)]
    assert len(read) < len(CHUNKS)


@given(st.integers(0, 6_000))
def test_what_broke_off_is_readable(length: int) -> None:
    """Every whole chunk, and no last one; without a whole head it is no recording."""
    file = sealed()[:length]
    if length < 40:
        with pytest.raises(Unreadable):
            unsealed(file)
        return
    read = unsealed(file)
    assert [plain for plain, _ in read] == CHUNKS[: len(read)]
    assert any(last for _, last in read) is (length >= len(sealed()))


def test_chunks_cannot_be_moved_repeated_or_left_out() -> None:
    """Their numbers are part of what is authenticated."""
    sealer = Sealer(KEY)
    one, two = sealer.seal(b"one"), sealer.seal(b"two")
    for chunks in (two + one, one + one, two):
        with pytest.raises(Unreadable):
            unsealed(sealer.head + chunks)


def test_nothing_follows_the_last() -> None:
    """A chunk that was added behind it is found."""
    sealer = Sealer(KEY)
    with pytest.raises(Unreadable, match="behind"):
        unsealed(sealer.head + sealer.seal(b"one", last=True) + sealer.seal(b"two"))


def test_a_chunk_of_another_file() -> None:
    """Each file has a key of its own, though the operator has one."""
    one, other = Sealer(KEY), Sealer(KEY)
    with pytest.raises(Unreadable):
        unsealed(one.head + other.seal(b"one"))


def test_another_key_opens_nothing() -> None:
    """Not the first chunk."""
    with pytest.raises(Unreadable, match="another key"):
        unsealed(sealed(), os.urandom(32))


def test_a_length_that_no_chunk_has() -> None:
    """It is not read into memory to be found wrong."""
    with pytest.raises(Unreadable, match="too long"):
        unsealed(Sealer(KEY).head + (MAX_CHUNK_BYTES + 1).to_bytes(4))
    with pytest.raises(ValueError, match="at most"):
        Sealer(KEY).seal(bytes(MAX_CHUNK_BYTES))
