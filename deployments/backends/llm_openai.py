"""Any server that speaks the OpenAI chat protocol: OpenAI itself, Groq, vLLM, llama.cpp, Ollama."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from deployments import openai_client
from deployments.backends import register
from deployments.chat_messages import chat_messages, chat_tools
from deployments.contracts import (
    BackendError,
    ReplyItem,
    ReplyRequest,
    StageInfo,
    TextDelta,
    ToolCall,
)
from deployments.history_budget import estimated_tokens, within_budget

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat.chat_completion_chunk import ChoiceDelta

_SERVERS_KEPT = 16
"""Other servers whose connections are kept; the one used longest ago is dropped for the next."""


@register(
    "llm",
    "openai",
    presets={
        "gpt4omini": {"model": "gpt-4o-mini"},
        "groq": {
            "model": "llama-3.3-70b-versatile",
            "base_url": "https://api.groq.com/openai/v1",
            "api_key_env": "GROQ_API_KEY",
        },
    },
)
class OpenAI:
    """Streams replies from `model` at `base_url` (None: OpenAI's own).

    The key is read from the environment variable that `api_key_env` names; it goes to `base_url`
    alone; an empty name sends none. A request's `server_url` is asked with no key, for the first
    model it lists. Redirects are not followed: they name servers that nobody has allowed.
    `timeout_s` bounds the wait for a connection and for each next piece of the reply.
    `history_tokens` is an estimate by characters: the tokenizer is at the server.
    """

    requires: ClassVar[tuple[str, ...]] = ("openai",)

    def __init__(
        self,
        *,
        model: str = "gpt-4o-mini",
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        temperature: float = 0.7,
        top_p: float | None = None,
        max_tokens: int = 300,
        history_tokens: int = 6000,
        timeout_s: float = 10.0,
    ) -> None:
        self._model = model
        self._base_url = base_url
        self._api_key_env = api_key_env
        sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._history_tokens = history_tokens
        self._timeout_s = timeout_s
        self._others: OrderedDict[str, AsyncOpenAI] = OrderedDict()

    async def load(self) -> StageInfo:
        """Open a client; the server is first asked by the first reply. Raises LoadFailed."""
        self._openai = openai_client.library("llm")
        key = openai_client.key_for("llm", self._api_key_env, self._base_url)
        self._own = self._client(self._base_url, key)
        return StageInfo(backend="openai", details={"model": self._model})

    async def reply(self, request: ReplyRequest) -> AsyncIterator[ReplyItem]:
        """The reply as the server writes it; closing the iterator closes the connection.

        Raises BadInput (the server refuses the request), Overloaded (429, 503), BackendError.
        """
        from openai import APIError

        messages = within_budget(request.messages, self._history_tokens, estimated_tokens)
        asked: dict[str, Any] = {"messages": chat_messages(messages), **self._sampling}
        if request.tools:
            asked["tools"] = chat_tools(request.tools)
            if request.must_call:
                asked["tool_choice"] = "required"
        calls = _Calls()
        try:
            client, model = self._own, self._model
            if request.server_url is not None:
                client = await self._other(request.server_url)
                model = await self._first_model(client, request.server_url)
            stream = await client.chat.completions.create(model=model, stream=True, **asked)
            async with stream:
                async for chunk in stream:
                    delta = chunk.choices[0].delta if chunk.choices else None
                    if delta and delta.content:
                        yield TextDelta(delta.content)
                    if delta:
                        calls.feed(delta)
        except APIError as error:
            raise openai_client.told(error) from error
        for call in calls.whole():
            yield call

    async def close(self) -> None:
        """Close every connection."""
        while self._others:
            await self._others.popitem()[1].close()
        await self._own.close()

    def _client(self, url: str | None, key: str) -> AsyncOpenAI:
        # Whether to ask again is the ingress' decision: it knows if anything was spoken.
        return self._openai.AsyncOpenAI(
            base_url=url,
            api_key=key,
            timeout=self._timeout_s,
            max_retries=0,
            http_client=self._openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )

    async def _other(self, url: str) -> AsyncOpenAI:
        client = self._others.pop(url, None) or self._client(url, openai_client.NO_KEY)
        self._others[url] = client
        if len(self._others) > _SERVERS_KEPT:
            await self._others.popitem(last=False)[1].close()
        return client

    async def _first_model(self, client: AsyncOpenAI, url: str) -> str:
        models = (await client.models.list()).data
        if not models:
            raise BackendError(f"the server at {url} lists no model")
        return models[0].id


@dataclass(slots=True)
class _Call:
    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class _Calls:
    """Tool calls, which a server streams in pieces, each with the place of its call."""

    by_place: dict[int, _Call] = field(default_factory=dict[int, _Call])

    def feed(self, delta: ChoiceDelta) -> None:
        for piece in delta.tool_calls or ():
            call = self.by_place.setdefault(piece.index, _Call())
            call.call_id = piece.id or call.call_id
            if piece.function is not None:
                call.name = piece.function.name or call.name
                call.arguments += piece.function.arguments or ""

    def whole(self) -> list[ToolCall]:
        return [
            ToolCall(call.call_id or f"call-{place}", call.name, call.arguments or "{}")
            for place, call in sorted(self.by_place.items())
        ]
