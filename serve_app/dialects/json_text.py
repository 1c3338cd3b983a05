"""JSON objects as text, both ways, with what must not pass refused or repaired.

Through orjson because it refuses what must not enter a call (NaN, lone surrogates, nesting that
exhausts a parser's stack), where the standard library accepts or crashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

import orjson

from serve_app.errors import PeerError

Json: TypeAlias = dict[str, object]


def load(message: str, max_bytes: int) -> Json:
    """The object of a message.

    Raises PeerError: with close code 1009 where the message is too big, else without one.
    """
    # The count of characters comes first, so that a huge message is not copied to be refused.
    if len(message) > max_bytes:
        raise too_big(f"a JSON message may have {max_bytes} bytes")
    data = message.encode("utf-8", "surrogatepass")
    if len(data) > max_bytes:
        raise too_big(f"a JSON message may have {max_bytes} bytes")
    try:
        parsed: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise invalid(f"not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise invalid("a message must be a JSON object with a type")
    return cast("Json", parsed)


def dump(fields: Mapping[str, object]) -> str:
    """The text of an object; half of a surrogate pair becomes a question mark."""
    try:
        return orjson.dumps(fields).decode()
    except orjson.JSONEncodeError:
        # Only a model's text can do this: half of a surrogate pair, cut between two deltas.
        return orjson.dumps(_whole(fields)).decode()


def _whole(value: object) -> object:
    match value:
        case str():
            return utf8(value).decode()
        case dict():
            items = cast("Mapping[str, object]", value).items()
            return {utf8(key).decode(): _whole(item) for key, item in items}
        case list() | tuple():
            return [_whole(item) for item in cast("Sequence[object]", value)]
        case _:
            return value


def utf8(text: str) -> bytes:
    """The bytes of a text that may hold half a character."""
    return text.encode("utf-8", "replace")


def quoted(value: str) -> str:
    """A client's own text, short and harmless, for a message about it."""
    return ascii(value if len(value) <= 40 else value[:40] + "…")


def invalid(message: str, *, param: str | None = None) -> PeerError:
    """The error for a message that is not as it should be; the call goes on."""
    return PeerError("invalid_request_error", message, param=param)


def too_big(message: str) -> PeerError:
    """The error that ends a call whose client sent too much at once."""
    return PeerError("message_too_big", message, close_code=1009)
