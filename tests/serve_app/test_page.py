"""serve_app.page: the files and how they are sent."""

from __future__ import annotations

import gzip
import re
import warnings

import pytest

from serve_app.page import FILES, router

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from fastapi import FastAPI
    from httpx import ASGITransport, AsyncClient, Response

MODULE_IMPORT = re.compile(r'(?:from|import\()\s*"\./([^"]+)"|new URL\("([\w.]+\.js)"')


async def get(path: str, method: str = "GET", **headers: str) -> Response:
    """What the page's routes answer."""
    app = FastAPI()
    app.include_router(router)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://page") as client:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.request(method, path, headers=names)


async def test_the_page_and_its_parts() -> None:
    """Each file has its type, and nothing may be guessed, framed or fetched from elsewhere."""
    page = await get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name, file in FILES.items():
        answer = await get(f"/page/{name}")
        assert answer.content == file.body
        assert answer.headers["content-type"] == file.media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


async def test_only_its_own_files() -> None:
    """Not the module beside them, not what is above them."""
    for name in ("__init__.py", "nothing.js", "..%2fapp.py", "%2e%2e/app.py"):
        assert (await get(f"/page/{name}")).status_code == 404


async def test_asked_again_it_is_not_sent_again() -> None:
    """The tag of what the browser has is answered without the file."""
    first = await get("/page/app.js")
    again = await get("/page/app.js", if_none_match=f'"other", {first.headers["etag"]}')
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    changed = await get("/page/app.js", if_none_match='W/"0"')
    assert changed.status_code == 200


async def test_smaller_where_the_browser_can_unpack_it() -> None:
    """The same file, compressed beforehand."""
    plain = await get("/page/style.css", accept_encoding="identity")
    packed = await get("/page/style.css", accept_encoding="gzip, br")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"


async def test_head() -> None:
    """Monitors ask for the head alone."""
    head = await get("/", "HEAD")
    assert (head.status_code, head.content) == (200, b"")


def test_a_load_is_small() -> None:
    """All files together, as they are sent: 60 KB is the promise."""
    sent = sum(len(file.zipped) for file in FILES.values())
    assert sent < 60_000
    assert all(gzip.decompress(file.zipped) == file.body for file in FILES.values())


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_names_another_server(name: str) -> None:
    """Every address is relative; what a module imports is there."""
    text = FILES[name].body.decode()
    allowed = text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(https?:|wss?:)?//[\w-]+\.[\w-]", allowed)
    for imported, addressed in MODULE_IMPORT.findall(text):
        assert (imported or addressed) in FILES
