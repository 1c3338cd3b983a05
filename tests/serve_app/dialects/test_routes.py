"""What a handshake says of its client."""

from __future__ import annotations

import pytest

from tests.serve_app.dialects.exchange import handshake

PROTOCOL = "sec-websocket-protocol"


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({}, {}, None),
        ({"authorization": "Bearer a", "x-api-key": "b"}, {"api_key": "d"}, "a"),
        ({"authorization": "bearer  a "}, {}, "a"),
        ({"authorization": "Basic a", "x-api-key": "b"}, {}, "b"),
        ({"api-key": "a", "x-api-key": "b"}, {}, "a"),
        ({PROTOCOL: "realtime, openai-insecure-api-key.c"}, {"api_key": "d"}, "c"),
        ({PROTOCOL: "realtime"}, {"api_key": "d"}, "d"),
        ({"authorization": "Bearer "}, {"api_key": ""}, None),
    ],
)
def test_the_first_key_counts(
    headers: dict[str, str], query: dict[str, str], key: str | None
) -> None:
    """Of the places for one."""
    assert handshake(headers=headers, query=query).key == key


def test_subprotocols_are_a_list() -> None:
    """As the header has it."""
    assert handshake(headers={PROTOCOL: "a,b , ,c"}).subprotocols == ("a", "b", "c")
    assert handshake().subprotocols == ()
