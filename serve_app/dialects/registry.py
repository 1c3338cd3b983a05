"""Which dialects there are: the only place that names them all."""

from __future__ import annotations

from typing import Final

from serve_app.dialects import native, realtime, speak, transcribe, twilio
from serve_app.dialects.routes import PostRoute, Route

ROUTES: Final[tuple[Route, ...]] = (
    native.ROUTE,
    realtime.ROUTE,
    twilio.ROUTE,
    transcribe.ROUTE,
    speak.ROUTE,
)
"""Every WebSocket that a call may be made on."""

POSTS: Final[tuple[PostRoute, ...]] = (realtime.CLIENT_SECRETS, twilio.ANSWER)
"""The HTTP endpoints that belong to them."""
