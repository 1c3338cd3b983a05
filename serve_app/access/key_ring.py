"""API keys by their hashes: the lines of a key file, and which of them a shown key is.

A key is `parley_<id>_<secret>`, the secret 32 random bytes. Its SHA-256 is what is kept: a slow
hash protects what can be guessed, and 256 random bits cannot; it would but make handshakes dear.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from serve_app.access.settings import KeyLimits
from serve_app.errors import PeerError

PREFIX: Final = "parley"
MAX_KEY_CHARS: Final = 200
"""Longer ones are not hashed."""

_ID_BYTES = 6
_SECRET_BYTES = 32
_NO_KEY = "0" * 64

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$")]


class Key(KeyLimits):
    """One line of the file: a key's hash, whose it is, when it ends, and what it may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    owner: Label
    """Whose: what belongs to an owner belongs to all keys of that name."""
    name: Label
    """What it is for, for the operator to read."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]
    expires: AwareDatetime | None = None

    def limits(self, default: KeyLimits) -> KeyLimits:
        """What this key may use: what its line says, else the default."""
        said = {name: getattr(self, name) for name in KeyLimits.model_fields}
        return default.model_copy(update={k: v for k, v in said.items() if v is not None})


class KeyRing:
    """The keys of a file."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.id: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, shown: str, now: int) -> Key:
        """Which key this is; `now` in seconds since 1970. Raises PeerError (HTTP 401)."""
        prefix, _, rest = shown.partition("_")
        key = self._keys.get(rest.partition("_")[0])
        digest = hash_of(shown) if len(shown) <= MAX_KEY_CHARS else ""
        # Compared in constant time even where no key has this id.
        same = hmac.compare_digest(digest, key.sha256 if key else _NO_KEY)
        if key is None or not same or prefix != PREFIX:
            raise refused("this key is not known here")
        return _unexpired(key, now)

    def by_id(self, key_id: str, now: int) -> Key:
        """The key of an id that was proven otherwise. Raises PeerError (HTTP 401)."""
        key = self._keys.get(key_id)
        if key is None:
            raise refused("the key that this one was made with is not known here any more")
        return _unexpired(key, now)


def parse(text: str) -> KeyRing:
    """The keys of a file: JSON objects, one a line; empty lines and `#` comments are left out.

    Raises ValueError, which names the line and nothing that stands in it.
    """
    keys: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            key = Key.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise ValueError(f"line {number}: {where}: {first['msg']}") from None
        if key.id in keys:
            raise ValueError(f"line {number}: there are two keys with the id {key.id}")
        keys[key.id] = key
    return KeyRing(keys.values())


def new_key(
    name: str, owner: str, expires: datetime | None = None, limits: KeyLimits | None = None
) -> tuple[str, str]:
    """A new key as its owner gets it, and its line. Raises ValidationError for bad names."""
    key_id = secrets.token_hex(_ID_BYTES)
    shown = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    said = limits.model_dump(exclude_none=True) if limits else {}
    key = Key(id=key_id, owner=owner, name=name, sha256=hash_of(shown), expires=expires, **said)
    return shown, key.model_dump_json(exclude_none=True) + "\n"


def hash_of(shown: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(shown.encode("utf-8", "replace")).hexdigest()


def refused(message: str) -> PeerError:
    """No key, or one that opens nothing."""
    return PeerError("invalid_api_key", message, close_code=3000, status=401)


def _unexpired(key: Key, now: int) -> Key:
    if key.expires is not None and key.expires <= datetime.fromtimestamp(now, UTC):
        raise refused("this key has expired")
    return key
