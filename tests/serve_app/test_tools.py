"""The operator's tools over real HTTP: asked well, answered well and badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from deployments.contracts import ToolCall
from serve_app.tools import MAX_RESULT_BYTES, Endpoint, HttpTools

CALL = ToolCall("1", "weather", '{"place": "Oslo", "days": [1, 2]}')


@dataclass
class Service:
    """An HTTP server that answers as told, and what it was asked."""

    status: str = "200 OK"
    headers: str = ""
    body: bytes = b"rain"
    hangs: bool = False
    heads: list[str] = field(default_factory=list[str])
    bodies: list[bytes] = field(default_factory=list[bytes])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        self.asked.set()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.bodies.append(await reader.readexactly(int(fields.get("content-length", 0))))
        if self.hangs:
            await reader.read(1)
            self.gone.set()
        else:
            answer = f"HTTP/1.1 {self.status}\r\ncontent-length: {len(self.body)}\r\n"
            writer.write(f"{answer}{self.headers}connection: close\r\n\r\n".encode() + self.body)
        writer.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that answers well."""
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    service.url = f"http://127.0.0.1:{port}/now?units=c"
    yield service
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def tools(service: Service, **others: object) -> AsyncIterator[HttpTools]:
    """The weather, at this service."""
    fields = {"method": "POST", "headers": {}, "timeout_s": 5.0, **others}
    runner = HttpTools([Endpoint("weather", service.url, **fields)])  # type: ignore[arg-type]
    try:
        yield runner
    finally:
        await runner.close()
        # The client library leaves its inner generators to the collector; the loop closes them.
        for _ in range(20):
            await asyncio.sleep(0)


async def test_post_sends_the_arguments_as_they_are(service: Service) -> None:
    """To the configured URL, with the configured headers."""
    async with tools(service, headers={"Authorization": "Bearer k"}) as runner:
        assert await runner.run(CALL) == "rain"
    assert service.heads[0].startswith("POST /now?units=c HTTP/1.1\r\n")
    assert "Authorization: Bearer k\r\n" in service.heads[0]
    assert json.loads(service.bodies[0]) == {"place": "Oslo", "days": [1, 2]}


async def test_get_sends_them_as_a_query(service: Service) -> None:
    """Beside the URL's own; what is no text is JSON."""
    async with tools(service, method="GET") as runner:
        assert await runner.run(CALL) == "rain"
    asked = "GET /now?units=c&place=Oslo&days=%5B1%2C+2%5D HTTP/1.1\r\n"
    assert service.heads[0].startswith(asked)


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No Content"])
async def test_a_status_is_told_to_the_model(service: Service, status: str) -> None:
    """Not its body, which is written for people who run servers."""
    service.status, service.body = status, b"" if status[0] == "2" else b"secret traceback"
    async with tools(service) as runner:
        told = await runner.run(CALL)
    assert told == ("" if status[0] == "2" else f"error: the tool failed with HTTP {status[:3]}")


async def test_a_redirect_is_not_followed(service: Service) -> None:
    """Where it leads is not in the configuration."""
    service.status, service.headers = "307 Elsewhere", f"location: {service.url}\r\n"
    async with tools(service) as runner:
        assert await runner.run(CALL) == "error: the tool failed with HTTP 307"
    assert len(service.heads) == 1


async def test_a_tool_that_hangs_is_given_up_on(service: Service) -> None:
    """After its own time-out, and its connection is closed."""
    service.hangs = True
    async with tools(service, timeout_s=0.2) as runner:
        assert await runner.run(CALL) == "error: the tool did not answer in time"
        await asyncio.wait_for(service.gone.wait(), 5)


async def test_a_cancelled_call_closes_the_connection(service: Service) -> None:
    """The service may notice that nobody waits."""
    service.hangs = True
    async with tools(service) as runner:
        running = asyncio.ensure_future(runner.run(CALL))
        await asyncio.wait_for(service.asked.wait(), 5)
        running.cancel()
        await asyncio.wait([running])
        await asyncio.wait_for(service.gone.wait(), 5)


async def test_no_server_is_an_error_in_words(service: Service) -> None:
    """The call goes on."""
    service.url = "http://127.0.0.1:1/"
    async with tools(service) as runner:
        assert await runner.run(CALL) == "error: the tool cannot be reached"


async def test_a_huge_answer_is_not_read_to_its_end(service: Service) -> None:
    """Nor kept in memory."""
    service.body = b"x" * (MAX_RESULT_BYTES + 1_000_000)
    async with tools(service) as runner:
        assert await runner.run(CALL) == "x" * MAX_RESULT_BYTES


@pytest.mark.parametrize("charset", ["latin-1", "no-such-code"])
async def test_whatever_it_is_written_in(service: Service, charset: str) -> None:
    """A known code is honoured; of an unknown one, what is no UTF-8 is replaced."""
    service.headers = f"content-type: text/plain; charset={charset}\r\n"
    service.body = "schön".encode("latin-1")
    async with tools(service) as runner:
        assert await runner.run(CALL) == ("schön" if charset == "latin-1" else "sch\ufffdn")
