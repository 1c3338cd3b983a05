"""A conversation's snapshot as JSON: of one version, of a bounded size, checked when it is read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, Literal

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from serve_app.conversation.snapshot import Snapshot
from serve_app.dialects.json_text import dump

MAX_BYTES: Final = 512 * 1024
"""Eight times what the longest history takes in English."""


class TooBig(Exception):
    """A snapshot is longer than any conversation should be."""


@dataclass(frozen=True, slots=True)
class _Written:
    version: Literal[1]
    conversation: Snapshot


_READER: Final = TypeAdapter(_Written)


def encode(snapshot: Snapshot) -> bytes:
    """What `decode` reads; half of a surrogate pair becomes a question mark. Raises TooBig."""
    fields = {"version": 1, "conversation": snapshot}
    try:
        data = orjson.dumps(fields)
    except orjson.JSONEncodeError:
        data = dump({"version": 1, "conversation": asdict(snapshot)}).encode()
    if len(data) > MAX_BYTES:
        raise TooBig(f"{len(data)} bytes, at most {MAX_BYTES}")
    return data


def decode(data: bytes) -> Snapshot:
    """Raises ValueError where it is no snapshot of this version."""
    try:
        return _READER.validate_json(data).conversation
    except ValidationError as error:
        # What is wrong with it, not what is in it.
        raise ValueError(f"not a snapshot of this version: {error.error_count()} faults") from None
