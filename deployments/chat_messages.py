"""A conversation and its tools in OpenAI's chat format, which servers and chat templates take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

from deployments.contracts import Message, Tool, ToolCall

ChatObject: TypeAlias = dict[str, object]


def chat_messages(messages: Sequence[Message]) -> list[ChatObject]:
    """Each message as the format has it."""
    return [_message(message) for message in messages]


def chat_tools(tools: Sequence[Tool]) -> list[ChatObject]:
    """Each tool as a function of the format."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": json.loads(tool.parameters_json),
            },
        }
        for tool in tools
    ]


def _message(message: Message) -> ChatObject:
    fields: ChatObject = {"role": message.role, "content": message.content}
    if message.tool_calls:
        fields["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _call(call: ToolCall) -> ChatObject:
    function = {"name": call.name, "arguments": _arguments(call.arguments_json)}
    return {"id": call.call_id, "type": "function", "function": function}


def _arguments(written: str) -> str:
    """Arguments that are no JSON object were never run; servers refuse a history with them."""
    try:
        parsed: object = json.loads(written)
    except ValueError:
        return "{}"
    return written if isinstance(parsed, dict) else "{}"
