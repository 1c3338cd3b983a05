"""URLs that an operator configures and this server then asks: written in one way alone.

A caller's URL counts only if it is such a text, so no second reading of a URL (userinfo, letters
that look alike, another way to write a number) can make it another's.
"""

from __future__ import annotations

import re
from typing import Final

_URL: Final = re.compile(
    r"https?://"
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*)"
    r"(?P<query>\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_UP: Final = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


def checked(url: str, *, query: bool = False) -> str:
    """The URL itself. Raises ValueError unless it is http(s), with a host in small ASCII letters
    (`xn--…` for others) and no dot at its end, and without userinfo, `..` or fragment."""
    found = _URL.fullmatch(url)
    if (
        found is None
        or int(found["port"] or 1) > 65_535
        or _UP.search(found["path"])
        or (found["query"] and not query)
    ):
        raise ValueError(f"not a server's URL, as http://llm:8000/v1 in small letters: {url!r}")
    return url
