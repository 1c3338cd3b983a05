"""A recording read back: what it is, what was said, and its sound as a wav file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serve_app.archive.records import (
    BYTES_PER_MOMENT,
    CHANNELS,
    RATE,
    Begun,
    Ended,
    Line,
    Record,
    Sound,
    decode,
)
from serve_app.archive.sealed import Unreadable, unseal

_MAX_WAV_BYTES: Final = 2**32 - 1 - 44
_SILENCE: Final = bytes(RATE * BYTES_PER_MOMENT)


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file holds but its sound. `ended` None: it broke off, or is being written.

    `moments`: the length of its sound, in samples of each side.
    """

    begun: Begun
    lines: tuple[Line, ...]
    ended: Ended | None
    moments: int

    def told(self) -> dict[str, object]:
        """As JSON is made of it."""
        begun, ended = self.begun, self.ended
        return {
            "call_id": begun.call_id,
            "owner": begun.owner,
            "path": begun.path,
            "consented_at": begun.consented_at,
            "ended_at": ended.ended_at if ended else None,
            "complete": ended is not None and ended.lost == 0,
            "seconds": round(self.moments / RATE, 3),
            "transcript": [
                {"at_ms": line.at_ms, "who": line.who, "text": line.text}
                for line in sorted(self.lines, key=lambda line: line.at_ms)
            ],
        }


def read(path: Path, key: bytes) -> Recording:
    """Raises Unreadable, OSError."""
    begun: Begun | None = None
    ended: Ended | None = None
    lines: list[Line] = []
    moments = 0
    for record in _records(path, key):
        match record:
            case Begun():
                begun = record
            case Sound(start=start, pcm=pcm):
                moments = start + len(pcm) // BYTES_PER_MOMENT
            case Line():
                lines.append(record)
            case Ended():
                ended = record
    if begun is None:
        raise Unreadable("it broke off before it began")
    return Recording(begun, tuple(lines), ended, moments)


def wav(path: Path, key: bytes, moments: int) -> Iterator[bytes]:
    """A wav file in pieces: the caller left, the agent right; `moments` long, as `read` found it.

    Raises Unreadable, OSError.
    """
    size = min(moments * BYTES_PER_MOMENT, _MAX_WAV_BYTES // BYTES_PER_MOMENT * BYTES_PER_MOMENT)
    yield _head(size)
    given = 0
    for record in _records(path, key):
        if not isinstance(record, Sound):
            continue
        # Silence was left out, and so was what there was no room for.
        start = min(record.start * BYTES_PER_MOMENT, size)
        while given < start:
            silence = _SILENCE[: start - given]
            given += len(silence)
            yield silence
        piece = record.pcm[: size - given]
        given += len(piece)
        yield piece


def _head(size: int) -> bytes:
    form = struct.pack("<HHIIHH", 1, CHANNELS, RATE, RATE * BYTES_PER_MOMENT, BYTES_PER_MOMENT, 16)
    return b"RIFF%sWAVEfmt %s%sdata%s" % (
        struct.pack("<I", 36 + size),
        struct.pack("<I", len(form)),
        form,
        struct.pack("<I", size),
    )


def _records(path: Path, key: bytes) -> Iterator[Record]:
    with path.open("rb") as file:
        for plain, _ in unseal(key, file):
            yield decode(plain)
