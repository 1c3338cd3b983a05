"""Finds the tool calls in what a model writes, by vLLM's parser for that family of models.

A family has its own marks for a call (Qwen2.5 and Hermes: `<tool_call>{…}</tool_call>`), so this
knows none: it hands the growing text to a parser and keeps what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from deployments.chat_messages import ChatObject
from deployments.contracts import ToolCall


@dataclass(slots=True)
class _Call:
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


class WrittenCalls:
    """One reply's text, with its tool calls taken out. `parser` is a class of vLLM's."""

    def __init__(
        self, parser: Any, tokenizer: object, messages: list[ChatObject], tools: list[ChatObject]
    ) -> None:
        protocol = import_module("vllm.entrypoints.openai.chat_completion.protocol")
        request = protocol.ChatCompletionRequest(messages=messages, tools=tools)
        self._parser = parser(tokenizer, request.tools)
        self._request = self._parser.adjust_request(request)
        self._text = ""
        self._tokens: list[int] = []
        self._calls: dict[int, _Call] = {}

    @property
    def skip_special_tokens(self) -> bool:
        """Whether the engine may leave out special tokens: in some families they mark a call."""
        return bool(self._request.skip_special_tokens)

    def feed(self, text: str, token_ids: list[int]) -> str:
        """What may be said of the next piece; it may hold back the beginning of a mark."""
        before, tokens_before = self._text, list(self._tokens)
        self._text += text
        self._tokens += token_ids
        delta = self._parser.extract_tool_calls_streaming(
            before, self._text, text, tokens_before, self._tokens, token_ids, self._request
        )
        if delta is None:
            return ""
        for piece in delta.tool_calls or ():
            call = self._calls.setdefault(piece.index, _Call())
            call.call_id = piece.id or call.call_id
            if piece.function is not None:
                call.name = piece.function.name or call.name
                call.arguments.append(piece.function.arguments or "")
        return delta.content or ""

    def calls(self) -> list[ToolCall]:
        """The calls, when the reply is written."""
        return [
            ToolCall(call.call_id, call.name, "".join(call.arguments) or "{}")
            for _, call in sorted(self._calls.items())
        ]
