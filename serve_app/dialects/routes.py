"""How a dialect is reached: its path, its handshake, who may call, and how it says no.

Values and pure functions; the ingress mounts them and does the I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from serve_app.dialects import Dialect
from serve_app.errors import PeerError

KEY_PROTOCOL: Final = "openai-insecure-api-key."
"""What a browser, which can set no header, puts before its key in a subprotocol."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """A WebSocket's opening request. Names of `headers` are in lower case.

    `now` and `expires_at`, the latest end of the call, in seconds since 1970. `owner`: whose key
    the call is made with; "" where none is asked for.
    """

    call_id: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    now: int
    expires_at: int
    owner: str = ""

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """Those that the client offers."""
        offered = self.headers.get("sec-websocket-protocol", "").split(",")
        return tuple(name.strip() for name in offered if name.strip())

    @property
    def key(self) -> str | None:
        """The key that the client shows, from the first place that has one."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        offered = (name for name in self.subprotocols if name.startswith(KEY_PROTOCOL))
        places = (
            token.strip() if scheme.lower() == "bearer" else "",
            self.headers.get("api-key", ""),
            self.headers.get("x-api-key", ""),
            next(offered, "").removeprefix(KEY_PROTOCOL),
            self.query.get("api_key", ""),
        )
        return next(filter(None, places), None)


@dataclass(frozen=True, slots=True)
class Post:
    """A POST request. `url_path` is its path with the query, as the client wrote it; `key_id`
    the id of the key that it came with, "" where none was asked for."""

    url_path: str
    headers: Mapping[str, str]
    body: bytes
    now: int
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What a POST request is answered with."""

    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What proves who calls; None: it is not configured, and nobody is asked for it.

    `signing` signs the short-lived keys that this server gives out. `public_origin` is where
    clients reach it, `https://…`.
    """

    signing: bytes
    twilio_auth_token: str | None = None
    public_origin: str | None = None


def anyone(handshake: Handshake, keys: Keys) -> None:
    """The check of a dialect that has none of its own."""
    del handshake, keys


@dataclass(frozen=True, slots=True)
class Route:
    """A dialect's WebSocket.

    open         reads the handshake. Raises PeerError
    refusal      the messages that tell a client, which can read no HTTP status, why not
    check        who may call, where the protocol has its own proof of that. Raises PeerError
    signed       `check` is such a proof, once its secret is configured: no key is asked for then
    subprotocol  selected where the client offers it
    """

    path: str
    open: Callable[[Handshake], Dialect]
    refusal: Callable[[PeerError], list[str | bytes]]
    check: Callable[[Handshake, Keys], None] = anyone
    signed: bool = False
    subprotocol: str | None = None


@dataclass(frozen=True, slots=True)
class PostRoute:
    """An HTTP endpoint that a dialect's clients need. `answer` raises PeerError.

    `signed`: it checks a signature, as in Route.
    """

    path: str
    answer: Callable[[Post, Keys], Page]
    signed: bool = False
