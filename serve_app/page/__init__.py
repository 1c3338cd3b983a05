"""The page at `/`: its files, read once, and how they are sent. What they do is docs/page.md.

The page asks nothing of any other server, and its policy does not let it.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "cache-control": "no-cache",  # Kept, but asked about: an upgrade is there at the next load.
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent. `tag` is its ETag: weak, as both encodings share it."""

    media_type: str
    body: bytes
    zipped: bytes
    tag: str


def _read(path: Path) -> File:
    body = path.read_bytes()
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:20]}"'
    return File(MEDIA_TYPES[path.suffix], body, gzip.compress(body, mtime=0), tag)


FILES: Final = {
    path.name: _read(path)
    for path in sorted(Path(__file__).parent.iterdir())
    if path.suffix in MEDIA_TYPES
}
"""By name, `index.html` among them."""

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    """The page itself."""
    return _answer(request, "index.html")


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def part(request: Request, name: str) -> Response:
    """A file of it; 404 for any other name."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    file = FILES.get(name)
    if file is None:
        return Response("there is no such file", 404, {"x-content-type-options": "nosniff"})
    headers = {**_HEADERS, "etag": file.tag}
    known = request.headers.get("if-none-match", "")
    if known == "*" or file.tag in (tag.strip() for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(file.zipped, headers=headers, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)
