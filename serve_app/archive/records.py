"""What stands in the chunks of a recording, as values and as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import orjson
from pydantic import TypeAdapter, ValidationError

from serve_app.archive.sealed import Unreadable

RATE: Final = 16_000
"""Of both sides, in Hz: what the caller's ear has."""
CHANNELS: Final = 2
"""The caller left, the agent right."""
BYTES_PER_MOMENT: Final = 2 * CHANNELS


@dataclass(frozen=True, slots=True)
class Begun:
    """The first record. `consented_at`: when the caller agreed, in seconds since 1970."""

    call_id: str
    owner: str
    path: str
    consented_at: int


@dataclass(frozen=True, slots=True)
class Sound:
    """Both sides from sample `start` of the recording on: int16, interleaved."""

    start: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """What was said, `at_ms` into the recording; of the agent's, what was surely heard."""

    at_ms: int
    who: Literal["caller", "agent"]
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last record. `lost`: records that there was no room for."""

    ended_at: int
    lost: int


Record: TypeAlias = Begun | Sound | Line | Ended

_KINDS: Final[dict[bytes, TypeAdapter[Begun] | TypeAdapter[Line] | TypeAdapter[Ended]]] = {
    b"B": TypeAdapter(Begun),
    b"L": TypeAdapter(Line),
    b"E": TypeAdapter(Ended),
}


def encode(record: Record) -> bytes:
    """What `decode` reads."""
    match record:
        case Begun():
            return b"B" + _json(record)
        case Sound(start=start, pcm=pcm):
            return b"S" + start.to_bytes(8) + pcm
        case Line():
            return b"L" + _json(record)
        case Ended():
            return b"E" + _json(record)


def decode(data: bytes) -> Record:
    """Raises Unreadable."""
    kind, body = data[:1], data[1:]
    if kind == b"S":
        return Sound(int.from_bytes(body[:8]), body[8:])
    try:
        return _KINDS[kind].validate_json(body)
    except (KeyError, ValidationError):
        raise Unreadable("a record of another version") from None


def _json(record: Begun | Line | Ended) -> bytes:
    try:
        return orjson.dumps(record)
    except orjson.JSONEncodeError:
        # Half of a surrogate pair, as a client may type it.
        assert isinstance(record, Line)
        text = record.text.encode("utf-8", "replace").decode()
        return orjson.dumps(Line(record.at_ms, record.who, text))
