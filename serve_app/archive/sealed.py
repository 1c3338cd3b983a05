"""The sealed file: encrypted chunks, each written as it comes, readable as far as it got.

    head   `PARLEYR1`, 32 random bytes
    chunk  uint32 big endian: the length of what follows, with the top bit in the last chunk;
           AES-256-GCM of the plaintext, its 16 bytes of tag included

The file's own key is HKDF-SHA256 of the operator's with the random bytes as salt. A chunk's nonce
is its number and whether it is the last, so none can be changed, left out, moved or repeated, nor
the end be cut off without a trace. The head is authenticated with every chunk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC: Final = b"PARLEYR1"
MAX_CHUNK_BYTES: Final = 4 * 1024 * 1024
"""Of ciphertext."""

_SALT_BYTES: Final = 32
_HEAD_BYTES: Final = len(MAGIC) + _SALT_BYTES
_LAST: Final = 1 << 31


class Unreadable(Exception):
    """Not a sealed file, sealed with another key, or changed since."""


class Sealer:
    """Seals one file. `head` stands before the first chunk."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes."""
        self.head: Final = MAGIC + os.urandom(_SALT_BYTES)
        self._cipher = _cipher(key, self.head)
        self._number = 0

    def seal(self, plain: bytes, *, last: bool = False) -> bytes:
        """The next chunk. Nothing may follow the last."""
        sealed = self._cipher.encrypt(_nonce(self._number, last), plain, self.head)
        if len(sealed) > MAX_CHUNK_BYTES:
            raise ValueError(f"a chunk has {len(sealed)} bytes, at most {MAX_CHUNK_BYTES}")
        self._number += 1
        return (len(sealed) | (_LAST if last else 0)).to_bytes(4) + sealed


def unseal(key: bytes, file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The chunks, and of each whether it is the last; there is no last where writing broke off.

    Raises Unreadable at the first chunk that is not as it was written.
    """
    head = file.read(_HEAD_BYTES)
    if len(head) < _HEAD_BYTES or not head.startswith(MAGIC):
        raise Unreadable("not a sealed recording")
    cipher, number, last = _cipher(key, head), 0, False
    while len(size := file.read(4)) == 4:
        if last:
            raise Unreadable("something stands behind the last chunk")
        length = int.from_bytes(size)
        last, length = bool(length & _LAST), length & ~_LAST
        if length > MAX_CHUNK_BYTES:
            raise Unreadable(f"chunk {number} is too long")
        sealed = file.read(length)
        if len(sealed) < length:
            return
        try:
            plain = cipher.decrypt(_nonce(number, last), sealed, head)
        except InvalidTag:
            raise Unreadable(f"chunk {number}: another key, or changed") from None
        yield plain, last
        number += 1


def _cipher(key: bytes, head: bytes) -> AESGCM:
    salt = head[len(MAGIC) :]
    return AESGCM(HKDF(SHA256(), 32, salt, b"parley recording").derive(key))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
