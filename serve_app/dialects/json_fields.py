"""Reading the fields of a client's JSON: each is checked, and named where it is wrong."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, TypeVar, cast

from serve_app.dialects.json_text import Json, invalid, quoted

T = TypeVar("T", bound=str)

TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What models may call."""


def string(fields: Json, key: str, path: str, longest: int) -> str:
    """A text of at most `longest` characters. `path` is the field's name for the client."""
    value = fields.get(key)
    if not isinstance(value, str):
        raise invalid(f"{path} must be a string", param=path)
    if len(value) > longest:
        raise invalid(f"{path} may have {longest} characters", param=path)
    return value


def optional_string(fields: Json, key: str, path: str, longest: int) -> str | None:
    """The same, or None where it is absent or null."""
    return None if fields.get(key) is None else string(fields, key, path, longest)


def number(fields: Json, key: str, path: str, least: float, most: float) -> float:
    """A number in a range, both ends included."""
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise invalid(f"{path} must be a number from {least:g} to {most:g}", param=path)
    return float(value)


def optional_number(fields: Json, key: str, path: str, least: float, most: float) -> float | None:
    """The same, or None where it is absent or null."""
    return None if fields.get(key) is None else number(fields, key, path, least, most)


def flag(fields: Json, key: str, path: str, default: bool) -> bool:
    """True or false; `default` where it is absent or null."""
    value = fields.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"{path} must be true or false", param=path)
    return value


def one_of(fields: Json, key: str, path: str, choices: tuple[T, ...], default: T) -> T:
    """One of some words; `default` where it is absent or null."""
    value = fields.get(key)
    if value is None:
        return default
    for choice in choices:
        if value == choice:
            return choice
    shown = quoted(value) if isinstance(value, str) else type(value).__name__
    raise invalid(f"{path} must be {' or '.join(choices)}, not {shown}", param=path)


def record(fields: Json, key: str, path: str) -> Json:
    """An object; an empty one where it is absent or null."""
    value = fields.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{path} must be an object", param=path)
    return cast("Json", value)


def records(fields: Json, key: str, path: str, most: int) -> list[Json]:
    """A list of objects; an empty one where it is absent or null."""
    value = fields.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(f"{path} must be a list", param=path)
    items = cast("list[object]", value)
    if len(items) > most:
        raise invalid(f"{path} may have {most} entries", param=path)
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise invalid(f"{path}[{at}] must be an object", param=path)
    return cast("list[Json]", items)


def data(fields: Json, key: str, path: str) -> bytes:
    """The bytes of a base64 text."""
    value = fields.get(key)
    if not isinstance(value, str):
        raise invalid(f"{path} must be a base64 string", param=path)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{path} is not base64", param=path) from error
