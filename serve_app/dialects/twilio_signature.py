"""Who calls in Twilio's name: the signature of its requests (X-Twilio-Signature)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

from serve_app.errors import PeerError

HEADER: Final = "x-twilio-signature"


def sign(token: str, url: str, form: Sequence[tuple[str, str]] = ()) -> str:
    """The signature of a request: HMAC-SHA1 over its URL and its form, sorted, in base64."""
    text = url + "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.new(token.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def check(
    token: str, headers: Mapping[str, str], url: str, form: Sequence[tuple[str, str]] = ()
) -> None:
    """Raises PeerError (HTTP 403) where a request is not signed with `token`."""
    shown = headers.get(HEADER, "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(shown, sign(token, url, form).encode()):
        raise PeerError(
            "invalid_signature", "this is not signed by Twilio", close_code=1008, status=403
        )
