"""A chat completion as clients ask for it, and as a language model takes it. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field

from deployments.contracts import Message, ReplyRequest, Tool, ToolCall

MAX_MESSAGES = 500
MAX_CHARS = 100_000
MAX_TOOLS = 128

_Name = Annotated[str, Field(max_length=200)]


class TextPart(BaseModel):
    """A piece of a message's text; there are no others here."""

    type: Literal["text"]
    text: Annotated[str, Field(max_length=MAX_CHARS)]


class CalledFunction(BaseModel):
    """The function that a model called."""

    name: _Name
    arguments: Annotated[str, Field(max_length=MAX_CHARS)]


class CalledTool(BaseModel):
    """A call that a model made."""

    id: _Name
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(BaseModel):
    """One entry of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, Field(max_length=MAX_CHARS)] | list[TextPart] | None = None
    tool_calls: list[CalledTool] | None = Field(None, max_length=MAX_TOOLS)
    tool_call_id: _Name | None = None

    def taken(self) -> Message:
        """As a language model takes it."""
        content = self.content or ""
        if not isinstance(content, str):
            content = "\n".join(part.text for part in content)
        calls = tuple(
            ToolCall(call.id, call.function.name, call.function.arguments)
            for call in self.tool_calls or ()
        )
        role = "system" if self.role == "developer" else self.role
        return Message(role, content, calls, self.tool_call_id)


class Function(BaseModel):
    """What a tool is. `parameters`: the JSON schema of its arguments."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: Annotated[str, Field(max_length=MAX_CHARS)] = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})


class ChatTool(BaseModel):
    """A tool that the client runs."""

    type: Literal["function"]
    function: Function

    def taken(self) -> Tool:
        """As a language model takes it."""
        function = self.function
        return Tool(function.name, function.description, orjson.dumps(function.parameters).decode())


class StreamOptions(BaseModel):
    """`include_usage`: a last chunk counts tokens."""

    include_usage: bool = False


class TextFormat(BaseModel):
    """The one form of an answer here."""

    type: Literal["text"]


class ChatBody(BaseModel):
    """What is to be answered.

    How the model writes (`temperature`, `max_tokens`, `stop`, …) is the deployment's to say: such
    fields change nothing. What would change what comes back is refused.
    """

    model: Annotated[str, Field(max_length=200)]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    tools: list[ChatTool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: Literal["auto", "none"] = "auto"
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    response_format: TextFormat | None = None
    modalities: list[Literal["text"]] | None = None

    def taken(self) -> ReplyRequest:
        """As a language model takes it."""
        tools = self.tools or () if self.tool_choice == "auto" else ()
        return ReplyRequest(
            tuple(message.taken() for message in self.messages),
            tools=tuple(tool.taken() for tool in tools),
        )
