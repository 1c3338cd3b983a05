"""Every endpoint that the application has, against everybody who may not use it.

The endpoints are the application's own list: one that is added is in here.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serve_app.access import key_file
from serve_app.access.gate import MAX_HEAD_BYTES, OPEN, is_open
from serve_app.access.key_ring import new_key
from serve_app.access.settings import KeyLimits
from serve_app.dialects import twilio_signature
from serve_app.dialects.realtime_keys import answer as mint
from serve_app.dialects.registry import POSTS, ROUTES
from serve_app.dialects.routes import Keys, Post
from tests.ingress import HOST, api, open_ingress, ring_up, web

SIGNING = "a secret of sixteen and more"
SECRETS = "/v1/realtime/client_secrets"


@dataclass(frozen=True)
class Endpoint:
    """A path with a method; None: a WebSocket."""

    path: str
    method: str | None

    def __str__(self) -> str:
        return f"{self.method or 'WS'} {self.path}"


def endpoints() -> list[Endpoint]:
    """All that the application answers, but for what is open to everybody."""
    found: list[Endpoint] = []
    for route in api.routes:
        path = re.sub(r"\{[^}]*\}", "x", getattr(route, "path"))  # noqa: B009
        found += [Endpoint(path, method) for method in getattr(route, "methods", None) or [None]]
    return [endpoint for endpoint in found if not is_open(endpoint.path)]


ENDPOINTS = endpoints()
SOCKETS = [endpoint for endpoint in ENDPOINTS if endpoint.method is None]
HTTP = [endpoint for endpoint in ENDPOINTS if endpoint.method is not None]


@dataclass
class Server:
    """A server with keys."""

    app: Any
    path: Path

    def key(self, owner: str = "anna", days: float | None = None, **limits: int) -> str:
        """A new key that it knows."""
        end = None if days is None else datetime.now(UTC) + timedelta(days=days)
        shown, line = new_key("test", owner, end, KeyLimits(**limits))
        self.path.write_text(self.path.read_text() + line)
        return shown

    def revoke(self, shown: str) -> None:
        """Take its line out."""
        lines = self.path.read_text().splitlines(keepends=True)
        self.path.write_text("".join(line for line in lines if shown.split("_")[1] not in line))


@pytest.fixture
def any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key file is looked at each time; short-lived keys are signed with SIGNING."""
    monkeypatch.setattr(key_file, "LOOK_EVERY_S", 0.0)
    monkeypatch.setenv("PARLEY_SIGNING_KEY", SIGNING)


@pytest.fixture
async def server(tmp_path: Path, any_time: None) -> AsyncGenerator[Server, None]:
    """One with keys, in this process."""
    del any_time
    path = tmp_path / "keys.jsonl"
    path.write_text("")
    auth = {"keys_file": str(path), "origins": ["https://app.example.org"]}
    async with open_ingress(auth=auth) as app:
        yield Server(app, path)


@dataclass(frozen=True)
class Answer:
    """What came of a request. `status` of a call that was taken is 101."""

    status: int
    code: str | None
    headers: Mapping[str, str]


async def ask(app: Any, endpoint: Endpoint, key: str | None = None, **headers: str) -> Answer:
    """Use an endpoint, with a key as a bearer's."""
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    if endpoint.method is None:
        async with _line(app, endpoint, headers) as line:
            return Answer(line.status or 101, line.code, line.denied_with)
    async with web(app) as client:
        raw = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
        response = await client.request(endpoint.method, endpoint.path, headers=raw)
    code = None
    if response.content and response.headers.get("content-type") == "application/json":
        code = response.json().get("error", {}).get("code")
    return Answer(response.status_code, code, response.headers)


@asynccontextmanager
async def _line(
    app: Any, endpoint: Endpoint, headers: Mapping[str, str]
) -> AsyncGenerator[Any, None]:
    async with ring_up(app, endpoint.path, **headers) as line:
        await line.answered.wait()
        yield line


async def everywhere(
    app: Any, key: Callable[[], str | None] = lambda: None, **headers: str
) -> dict[str, tuple[int, str | None]]:
    """What each endpoint says, each time with another key."""
    told: dict[str, tuple[int, str | None]] = {}
    for endpoint in ENDPOINTS:
        answer = await ask(app, endpoint, key(), **headers)
        told[str(endpoint)] = (answer.status, answer.code if endpoint.method != "HEAD" else None)
    return told


def all_refused(status: int, code: str) -> dict[str, tuple[int, str | None]]:
    """The same from each. HEAD has no body."""
    return {str(e): (status, None if e.method == "HEAD" else code) for e in ENDPOINTS}


UNAUTHORISED = all_refused(401, "invalid_api_key")


def token(made_with: str = "", *, signing: str = SIGNING, late_s: int = 0) -> str:
    """A short-lived key, as `client_secrets` gives them out."""
    key_id = made_with.split("_")[1] if made_with else ""
    post = Post(SECRETS, {}, b"", int(time.time()) - late_s, key_id)
    return json.loads(mint(post, Keys(signing.encode())).body)["value"]


def test_there_is_a_matrix() -> None:
    """Every WebSocket, every POST of a dialect, and more."""
    paths = {endpoint.path for endpoint in ENDPOINTS}
    assert {route.path for route in (*ROUTES, *POSTS)} < paths
    assert len(ENDPOINTS) >= 12
    assert {"/healthz", "/readyz"} == OPEN


async def test_no_key(server: Server) -> None:
    """Nothing but the two open paths and the page answers."""
    assert await everywhere(server.app) == UNAUTHORISED
    async with web(server.app) as client:
        assert [(await client.get(path)).status_code for path in sorted(OPEN)] == [200, 200]
        assert [(await client.get(path)).status_code for path in ("/", "/page/app.js")] == [200] * 2
        assert (await client.get("/no/such/path")).status_code == 401
        assert (await client.post("/healthz")).status_code == 401


async def test_a_good_key(server: Server) -> None:
    """All are open to it, whatever they then make of an empty request."""
    shown = server.key()
    told = await everywhere(server.app, lambda: shown)
    assert {status for status, _ in told.values()}.isdisjoint({401, 403, 429, 431, 500})
    assert {told[str(socket)][0] for socket in SOCKETS} == {101}


@pytest.mark.parametrize(
    "shown",
    [
        "x",
        "parley_0123456789ab_" + "x" * 43,
        "parley__",
        "sk-proj-abc",
        "ek_",
        "ek_x.y",
        "Bearer",
        "\x7f",
        "é",
    ],
)
async def test_a_bad_key(server: Server, shown: str) -> None:
    """As none."""
    server.key()
    assert await everywhere(server.app, lambda: shown) == UNAUTHORISED


async def test_another_servers_key(server: Server) -> None:
    """Well made, and not known here."""
    assert await everywhere(server.app, lambda: new_key("a", "anna")[0]) == UNAUTHORISED


async def test_an_expired_key(server: Server) -> None:
    """Its line may stay."""
    shown = server.key(days=-1)
    assert await everywhere(server.app, lambda: shown) == UNAUTHORISED


async def test_a_revoked_key(server: Server) -> None:
    """Without a restart, and with it what was made with it."""
    shown = server.key()
    other = server.key("ben")
    made = token(shown)
    assert (await ask(server.app, SOCKETS[0], made)).status == 101
    server.revoke(shown)
    assert await everywhere(server.app, lambda: shown) == UNAUTHORISED
    assert await everywhere(server.app, lambda: made) == UNAUTHORISED
    assert (await ask(server.app, SOCKETS[0], other)).status == 101


async def test_an_expired_keys_short_lived_key(server: Server) -> None:
    """It is worth what the key is that it was made with."""
    made = token(server.key(days=-1))
    assert await everywhere(server.app, lambda: made) == UNAUTHORISED


async def test_a_short_lived_key(server: Server) -> None:
    """Opens every call, and no request: it cannot make another of its kind."""
    made = token(server.key())
    for socket in SOCKETS:
        assert (await ask(server.app, socket, made)).status == 101
    assert {(await ask(server.app, endpoint, made)).status for endpoint in HTTP} == {401}


@pytest.mark.parametrize("how", ["forged", "expired", "of nobody", "changed"])
async def test_a_bad_short_lived_key(server: Server, how: str) -> None:
    """Signed with another secret; too old; made before there were keys; with another id."""
    shown = server.key()
    made = {
        "forged": token(shown, signing="another"),
        "expired": token(shown, late_s=601),
        "of nobody": token(),
        "changed": token(new_key("a", "a")[0]),
    }[how]
    if how == "changed":
        payload = json.loads(base64.urlsafe_b64decode(made[3:].partition(".")[0] + "=="))
        payload["made_with"] = shown.split("_")[1]
        changed = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
        made = f"ek_{changed}.{made.partition('.')[2]}"
    assert await everywhere(server.app, lambda: made) == UNAUTHORISED


async def test_over_the_rate(server: Server) -> None:
    """The second in a minute is told when to come again; another owner is not concerned."""
    for endpoint in ENDPOINTS:
        shown = server.key(calls_per_minute=1, requests_per_minute=1)
        assert (await ask(server.app, endpoint, shown)).status not in (401, 403, 429)
        answer = await ask(server.app, endpoint, shown)
        assert (answer.status, answer.headers["retry-after"]) == (429, "60"), endpoint
        assert (await ask(server.app, endpoint, server.key("ben"))).status != 429


async def test_over_the_calls_at_once(server: Server) -> None:
    """Of all dialects together, its short-lived keys' calls included; one ends, one may begin."""
    shown = server.key(calls=1)
    made = token(shown)
    for first in SOCKETS:
        async with _line(server.app, first, {"authorization": f"Bearer {shown}"}) as line:
            assert line.accepted
            for second in SOCKETS:
                for key in (shown, made):
                    answer = await ask(server.app, second, key)
                    assert (answer.status, answer.code) == (429, "rate_limit_exceeded")
                    assert answer.headers["retry-after"] == "5"
            assert (await ask(server.app, HTTP[0], shown)).status != 429
            assert (await ask(server.app, first, server.key("ben"))).status == 101


async def test_a_page_elsewhere(server: Server) -> None:
    """With a good key even: nothing with side effects, and what it may ask it may not read."""
    shown = server.key()
    for endpoint in ENDPOINTS:
        answer = await ask(server.app, endpoint, shown, origin="https://evil.example")
        if endpoint.method is None:
            continue  # Told in the dialect's own way: below.
        assert "access-control-allow-origin" not in answer.headers
        if endpoint.method not in ("GET", "HEAD"):
            assert (answer.status, answer.code) == (403, "origin_not_allowed")


@pytest.mark.parametrize("socket", SOCKETS, ids=str)
async def test_a_browser_is_told_by_the_dialect(server: Server, socket: Endpoint) -> None:
    """It can read no status: it is accepted, told and closed with the code for why."""
    shown = server.key(calls_per_minute=1)
    ours = f"http://{HOST}"
    told = {}
    for who, origin, key in (
        ("elsewhere", "https://evil.example", shown),
        ("nobody", ours, None),
        ("anna", ours, shown),
        ("anna again", ours, shown),
    ):
        headers = {"origin": origin}
        if key is not None:
            headers["sec_websocket_protocol"] = f"realtime, openai-insecure-api-key.{key}"
        async with ring_up(server.app, socket.path, **headers) as line:
            await line.answered.wait()
            if who == "anna":
                assert line.accepted
                assert line.subprotocol in ("realtime", None)
                continue
            messages = await line.ended()
            told[who] = line.closed_with
            text = " ".join(m for m in messages if isinstance(m, str))
            assert key is None or key not in text
    assert told == {"elsewhere": 1008, "nobody": 3000, "anna again": 1013}


async def test_the_page_on_its_own_socket(server: Server) -> None:
    """`/ws` selects its own subprotocol, beside which a page shows its key."""
    offered = f"parley, openai-insecure-api-key.{token(server.key())}"
    headers = {"origin": f"http://{HOST}", "sec_websocket_protocol": offered}
    async with ring_up(server.app, "/ws", {"codec": "pcm16"}, **headers) as line:
        assert (await line.next_json())["type"] == "ready"
        assert line.subprotocol == "parley"


@pytest.mark.parametrize("name", ["api-key", "x-api-key"])
async def test_other_headers_for_a_key(server: Server, name: str) -> None:
    """As clients of other servers have them."""
    shown = server.key()
    for endpoint in ENDPOINTS:
        answer = await ask(server.app, endpoint, **{name: shown})
        assert answer.status not in (401, 403)


async def test_a_listed_page_may_call_and_read(server: Server) -> None:
    """It is answered its preflight, and may read the answer, a refusal too."""
    page = {"origin": "https://app.example.org"}
    wanted = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    async with web(server.app, **page) as client:
        preflight = await client.options(SECRETS, headers=wanted)
        assert preflight.status_code == 200
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        refused = await client.post(SECRETS)
        assert refused.status_code == 401
        key = {"authorization": f"Bearer {server.key()}"}
        made = await client.post(SECRETS, headers=key)
    for response in (preflight, refused, made):
        assert response.headers["access-control-allow-origin"] == page["origin"]
        assert "access-control-allow-credentials" not in response.headers
    assert (await ask(server.app, SOCKETS[0], made.json()["value"], **page)).status == 101
    async with web(server.app, origin="https://evil.example") as client:
        preflight = await client.options(SECRETS, headers=wanted)
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers


async def test_a_head_too_large(server: Server) -> None:
    """Before its key is looked at."""
    told = await everywhere(server.app, x_long="x" * MAX_HEAD_BYTES)
    assert told == all_refused(431, "head_too_large")


async def test_without_keys_everybody_may(any_time: None) -> None:
    """Whatever key they show, unless it claims to be one of ours and is not; no page elsewhere."""
    del any_time
    async with open_ingress() as app:
        for key in (None, "x", token()):
            told = await everywhere(app, lambda key=key: key)
            assert {status for status, _ in told.values()}.isdisjoint({401, 403, 429, 431, 500})
        assert await everywhere(app, lambda: "ek_x.y") == UNAUTHORISED
        posts = [endpoint for endpoint in HTTP if endpoint.method not in ("GET", "HEAD")]
        for origin in ("https://evil.example", "http://rebound.example:8000"):
            headers = {"origin": origin, "host": origin.partition("//")[2]}
            if origin.startswith("https"):
                headers["host"] = HOST
            told = {(await ask(app, endpoint, **headers)).status for endpoint in posts}
            assert told == {403}


async def test_twilio_shows_a_signature_instead(
    tmp_path: Path, any_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its token is configured: with it no key is needed, and no key helps without it."""
    del any_time
    monkeypatch.setenv("TWILIO", "12345")
    path = tmp_path / "keys.jsonl"
    shown, line = new_key("a", "anna")
    path.write_text(line)
    twilio = {"public_origin": "https://voice.example", "twilio_auth_token_env": "TWILIO"}
    socket, post = Endpoint("/twilio", None), Endpoint("/twilio/answer", "POST")
    async with open_ingress(auth={"keys_file": str(path)}, **twilio) as app:
        for endpoint, scheme in ((socket, "wss"), (post, "https")):
            url = f"{scheme}://voice.example{endpoint.path}"
            signed = {twilio_signature.HEADER: twilio_signature.sign("12345", url)}
            assert (await ask(app, endpoint, **signed)).status in (101, 200)
            assert (await ask(app, endpoint)).code == "invalid_signature"
            assert (await ask(app, endpoint, shown)).code == "invalid_signature"
        others = [endpoint for endpoint in SOCKETS if endpoint != socket]
        for endpoint in others:
            assert (await ask(app, endpoint)).status == 401
