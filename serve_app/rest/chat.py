"""`/v1/chat/completions`: the deployed language model, by itself."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from deployments.contracts import Message, ReplyItem, ReplyRequest, TextDelta, ToolCall
from deployments.history_budget import estimated_tokens
from serve_app.errors import StageError
from serve_app.rest.answers import DONE, answer, error_event, event
from serve_app.rest.chat_request import ChatBody
from serve_app.rest.endpoints import Endpoint, Schema, Service, schema_of
from serve_app.rest.names import check_model
from serve_app.rest.uploads import read_json


async def complete(service: Service, request: Request) -> Response:
    """The model's answer to the messages, at once or in pieces. Tools are the client's to run."""
    body = await read_json(request, ChatBody)
    asked = body.taken()
    told = _Told(check_model(body.model, service.stages.info["llm"]), asked.messages)
    items = _permitted(service.stages.reply(asked), asked)
    if not body.stream:
        async with aclosing(items):
            async for item in items:
                told.take(item)
        return answer(told.whole())
    usage = body.stream_options is not None and body.stream_options.include_usage
    # The first piece is waited for: what fails before it can be told by a status.
    first = await anext(items, None)
    return StreamingResponse(_events(first, items, told, usage), media_type="text/event-stream")


@dataclass(slots=True)
class _Told:
    """One completion, as much of it as there is, in OpenAI's forms."""

    model: str
    asked: Sequence[Message]
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    text: str = ""
    calls: list[ToolCall] = field(default_factory=list[ToolCall])

    def take(self, item: ReplyItem) -> dict[str, object]:
        """The next piece, as the delta that says it."""
        if isinstance(item, TextDelta):
            self.text += item.text
            return {"content": item.text}
        self.calls.append(item)
        return {"tool_calls": [{"index": len(self.calls) - 1, **_call(item)}]}

    def whole(self) -> dict[str, object]:
        """All of it."""
        message: dict[str, object] = {
            "role": "assistant",
            "content": self.text if self.text or not self.calls else None,
            "refusal": None,
        }
        if self.calls:
            message["tool_calls"] = [_call(call) for call in self.calls]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.ending}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage}

    def chunk(self, delta: dict[str, object], ending: str | None = None) -> dict[str, object]:
        """A piece of it."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": ending}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self) -> dict[str, object]:
        """The piece that counts."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage}

    @property
    def ending(self) -> str:
        """Why it ends."""
        return "tool_calls" if self.calls else "stop"

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, estimated by characters: the tokenizer is the stage's."""
        read = sum(map(estimated_tokens, self.asked))
        written = estimated_tokens(Message("assistant", self.text, tuple(self.calls)))
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }

    def _head(self, kind: str) -> dict[str, object]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


async def _permitted(
    items: AsyncGenerator[ReplyItem, None], asked: ReplyRequest
) -> AsyncGenerator[ReplyItem, None]:
    """A model that was given no tools has none to call, whatever it says."""
    async with aclosing(items):
        async for item in items:
            if isinstance(item, TextDelta) or asked.tools:
                yield item


async def _events(
    first: ReplyItem | None, rest: AsyncGenerator[ReplyItem, None], told: _Told, usage: bool
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield event(told.chunk({"role": "assistant", "content": ""}))
        if first is not None:
            yield event(told.chunk(told.take(first)))
        try:
            async for item in rest:
                yield event(told.chunk(told.take(item)))
        except StageError as error:
            yield error_event(error)
            return
        yield event(told.chunk({}, told.ending))
        if usage:
            yield event(told.usage_chunk())
        yield DONE


def _call(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments_json}
    return {"id": call.call_id, "type": "function", "function": function}


_COMPLETION: Final[Schema] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "usage": {"type": "object"},
    },
    "required": ["id", "object", "created", "model", "choices", "usage"],
}

ENDPOINT: Final = Endpoint(
    "POST",
    "/v1/chat/completions",
    complete,
    "Complete a chat",
    body={"application/json": schema_of(ChatBody)},
    given={"application/json": _COMPLETION, "text/event-stream": {"type": "string"}},
    errors=(404, 408, 413, 415),
)
