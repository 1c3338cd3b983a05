"""Whether an address may be served as things are: beyond this machine, not without keys."""

from __future__ import annotations

import ipaddress

from serve_app.access.settings import ALLOW_ANONYMOUS, AuthSettings
from serve_app.errors import ConfigError


def check(host: str | None, auth: AuthSettings) -> None:
    """`host` is what Serve listens at; None where it does not yet. Raises ConfigError."""
    if auth.keys_file is not None or auth.allow_anonymous or host is None or _is_loopback(host):
        return
    raise ConfigError(
        f"serving {host} lets anybody call: set auth.keys_file (docs/security.md), or say that it "
        f"is meant with auth.allow_anonymous or {ALLOW_ANONYMOUS}=1"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
