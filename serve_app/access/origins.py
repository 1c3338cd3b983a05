"""Which pages a browser may call from: pure. What has no `Origin` is no page, and passes.

Allowed are the pages of this server itself, and those on the operator's list. Without keys "this
server itself" must be an address or a listed name: a page elsewhere can make its own name
resolve to this machine, and would otherwise be taken for ours (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from serve_app.errors import PeerError

_PORTS: Final = {"http": 80, "https": 443}
_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")


def canonical(origin: str) -> str:
    """An origin as browsers write it. Raises ValueError for what is none."""
    written = origin.strip().removesuffix("/").lower()
    found = _ORIGIN.fullmatch(written)
    if found is None:
        raise ValueError(f"not an origin, as https://app.example.org: {origin!r}")
    scheme, host = found[1], found[2]
    port = int(found[3] or _PORTS[scheme])
    if not 0 < port < 65_536:
        raise ValueError(f"not a port: {port}")
    return f"{scheme}://{host}" if port == _PORTS[scheme] else f"{scheme}://{host}:{port}"


class Origins:
    """The list of one server. `public_origin` is where its own pages are, `https://…`."""

    def __init__(
        self, listed: Iterable[str], public_origin: str | None, *, any_own_name: bool
    ) -> None:
        """`any_own_name`: whatever name clients reach us by is ours; right where keys are asked
        for, as a page that pretends has none."""
        self.listed = frozenset(listed)
        self._own = frozenset([canonical(public_origin)] if public_origin else ())
        self._any_own_name = any_own_name

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises PeerError (HTTP 403) where a page may not call. Header names in lower case."""
        shown = headers.get("origin")
        if shown is None or shown in self.listed or shown in self._own:
            return
        if not self._same(shown, headers.get("host", "")):
            raise PeerError(
                "origin_not_allowed", "this page may not call here", close_code=1008, status=403
            )

    def _same(self, shown: str, host: str) -> bool:
        """Whether the page came from the host that it calls, which has one port for each scheme."""
        try:
            origin = canonical(shown)
            same = origin == canonical(f"{urlsplit(origin).scheme}://{host}")
        except ValueError:
            return False
        return same and (self._any_own_name or _is_address(urlsplit(origin).hostname or ""))


def _is_address(host: str) -> bool:
    """Whether nobody but this machine's owner says where it is: an IP address, or localhost."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
