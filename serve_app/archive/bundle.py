"""A zip that is made while it is sent: nothing of it lies anywhere in full."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator


class _Pipe(io.RawIOBase):
    """What is written waits to be taken. It cannot seek, so the zip is written straight on."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(memoryview(data))  # pyright: ignore[reportArgumentType]  zipfile gives bytes.
        self._waiting += piece
        return len(piece)

    def take(self) -> bytes:
        taken, self._waiting = bytes(self._waiting), bytearray()
        return taken


class Bundle:
    """Members go in one after the other; what that makes of the zip comes out in pieces."""

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._zip = zipfile.ZipFile(self._pipe, "w", zipfile.ZIP_STORED)

    def add(self, name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """A member of any length."""
        with self._zip.open(name, "w", force_zip64=True) as member:
            for piece in pieces:
                member.write(piece)
                yield self._pipe.take()
        yield self._pipe.take()

    def end(self) -> bytes:
        """The last of it."""
        self._zip.close()
        return self._pipe.take()
