"""Conversations in OpenAI's chat format."""

from __future__ import annotations

import pytest

from deployments.chat_messages import chat_messages, chat_tools
from deployments.contracts import Message, Tool, ToolCall


def test_a_plain_message_has_nothing_but_role_and_content() -> None:
    """Servers refuse members that they do not expect."""
    assert chat_messages([Message("user", "hi")]) == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("written", ['{"a": 1', "", "[1]", "null"])
def test_arguments_that_are_no_object_go_back_as_an_empty_one(written: str) -> None:
    """The call was answered with an error, and a server parses what the history holds."""
    [message] = chat_messages([Message("assistant", "", (ToolCall("1", "look", written),))])
    [call] = message["tool_calls"]  # type: ignore[attr-defined]
    assert call["function"] == {"name": "look", "arguments": "{}"}


def test_a_tool_without_arguments_has_the_schema_of_none() -> None:
    """The default is a schema too."""
    [tool] = chat_tools([Tool("look", "Look.")])
    assert tool["function"]["parameters"] == {"type": "object", "properties": {}}  # type: ignore[index]
