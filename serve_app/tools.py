"""Runs the tools that the operator has configured: HTTP endpoints, and no others.

A tool's failure is a sentence for the model, which tells the caller in its own words; the details
are for the log. Nothing of a call's arguments or results is logged.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import httpx2

from deployments.contracts import ToolCall
from deployments.logs import logger

log = logger("tools")

MAX_RESULT_BYTES = 256 * 1024
"""Of an answer no more than this is read; what the model sees of it is bounded again."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a tool is. POST sends the arguments as a JSON object, GET as a query."""

    name: str
    url: str
    method: Literal["POST", "GET"]
    headers: dict[str, str]
    timeout_s: float


class ToolRunner(Protocol):
    """What a reply needs to run a tool."""

    async def run(self, call: ToolCall) -> str:
        """What the tool gave, or an error in words for the model. Cancelling drops the request."""
        ...


class HttpTools:
    """The configured endpoints, over connections that all calls of a replica share."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        # An endpoint that redirects names another URL, which is not in the configuration.
        self._client = httpx2.AsyncClient(follow_redirects=False, timeout=None)

    async def run(self, call: ToolCall) -> str:
        """See ToolRunner; `call` is for a configured tool and its arguments are an object."""
        endpoint = self._endpoints[call.name]
        try:
            async with asyncio.timeout(endpoint.timeout_s):
                return await self._ask(endpoint, call)
        except TimeoutError:
            log.warning("tool %s: no answer in %s s", call.name, endpoint.timeout_s)
            return "error: the tool did not answer in time"
        except httpx2.HTTPError as error:
            log.warning("tool %s: %s", call.name, type(error).__name__)
            return "error: the tool cannot be reached"

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, endpoint: Endpoint, call: ToolCall) -> str:
        request = self._request(endpoint, call.arguments_json)
        response = await self._client.send(request, stream=True)
        try:
            if not response.is_success:
                log.warning("tool %s: HTTP %s", call.name, response.status_code)
                return f"error: the tool failed with HTTP {response.status_code}"
            return await _text(response)
        finally:
            await response.aclose()

    def _request(self, endpoint: Endpoint, arguments_json: str) -> httpx2.Request:
        headers = endpoint.headers
        if endpoint.method == "GET":
            query = _query(cast("dict[str, object]", json.loads(arguments_json)))
            url = httpx2.URL(endpoint.url).copy_merge_params(query)
            return self._client.build_request("GET", url, headers=headers)
        return self._client.build_request(
            "POST",
            endpoint.url,
            content=arguments_json.encode("utf-8", "replace"),
            headers={"content-type": "application/json", **headers},
        )


def _query(arguments: dict[str, object]) -> dict[str, str]:
    """Texts as they are, everything else as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in arguments.items()
    }


async def _text(response: httpx2.Response) -> str:
    body = bytearray()
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) >= MAX_RESULT_BYTES:
                break
    return body[:MAX_RESULT_BYTES].decode(response.encoding or "utf-8", "replace")
