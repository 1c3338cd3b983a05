"""Who is let in: a pure decision over a request's head, before anything of it is read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from serve_app.access.key_ring import Key, KeyRing, refused
from serve_app.access.origins import Origins
from serve_app.dialects import realtime_keys
from serve_app.dialects.routes import Handshake, Keys
from serve_app.errors import PeerError

OPEN: Final = frozenset({"/healthz", "/readyz"})
"""Paths for everybody: they say whether the server lives, and take nothing."""
PAGE: Final = "/page/"
"""Below it are the page's files, which are no secret: the page itself asks for the key."""
SAFE: Final = frozenset({"GET", "HEAD"})
"""Methods without side effects: a page elsewhere may send them, and a browser keeps what is
answered from it."""

MAX_HEAD_BYTES: Final = 32 * 1024
"""Of a request's path, query and headers together."""


def is_open(path: str) -> bool:
    """Whether everybody may look at it."""
    return path in OPEN or path == "/" or path.startswith(PAGE)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who was let in; `key` is None where none was asked for."""

    owner: str = ""
    key: Key | None = None


NOBODY: Final = Visitor()


@dataclass(frozen=True, slots=True)
class Gate:
    """What does not change while the server runs. `signed`: paths whose own check of a signature
    says who calls, where Twilio's token is configured."""

    keys: Keys
    origins: Origins
    signed: Collection[str] = ()

    def admit(self, knock: Handshake, ring: KeyRing | None, method: str | None) -> Visitor:
        """Who this is. `method` is None for a WebSocket, `ring` where no keys are asked for.

        Raises PeerError: HTTP 401, 403, or 431 for a head that is too large.
        """
        if _size(knock) > MAX_HEAD_BYTES:
            text = f"a request's head may have {MAX_HEAD_BYTES} bytes"
            raise PeerError("head_too_large", text, close_code=1009, status=431)
        if is_open(knock.path) and method in SAFE:
            return NOBODY
        if method not in SAFE:
            self.origins.check(knock.headers)
        if knock.path in self.signed and self.keys.twilio_auth_token is not None:
            return Visitor("twilio")
        shown = knock.key
        if shown is not None and shown.startswith(realtime_keys.PREFIX):
            return self._with_token(knock, ring, method)
        if ring is None:
            return NOBODY
        if shown is None:
            raise refused("a key is needed here")
        key = ring.find(shown, knock.now)
        return Visitor(key.owner, key)

    def _with_token(self, knock: Handshake, ring: KeyRing | None, method: str | None) -> Visitor:
        """A short-lived key opens calls. It is worth what the key is that it was made with."""
        key_id = realtime_keys.check(knock, self.keys)
        if ring is None:
            return NOBODY
        if method is not None:
            raise refused("a short-lived key opens calls and nothing else")
        key = ring.by_id(key_id, knock.now)
        return Visitor(key.owner, key)


def _size(knock: Handshake) -> int:
    """Characters, which for a head are about bytes."""
    named = (*knock.headers.items(), *knock.query.items())
    return len(knock.path) + sum(len(name) + len(value) for name, value in named)
