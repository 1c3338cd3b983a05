"""The body of a small request: all of it, or a refusal before more is read."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from serve_app.errors import PeerError

MAX_BYTES: Final = 64 * 1024
WITHIN_S: Final = 10.0
"""How long a client may take to send it."""


async def read_body(request: Request) -> bytes:
    """Raises PeerError where it is too much or too slow."""
    body = b""
    try:
        async with asyncio.timeout(WITHIN_S):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BYTES:
                    raise PeerError("message_too_big", f"at most {MAX_BYTES} bytes", status=413)
    except TimeoutError:
        raise PeerError("upload_timeout", f"not sent in {WITHIN_S:g} s", status=408) from None
    except ClientDisconnect:
        raise PeerError("upload_cancelled", "the client went away") from None
    return body
