"""The tools of a Realtime session or response, and which of them the model may or must call."""

from __future__ import annotations

from typing import Final

from deployments.contracts import Tool
from serve_app.conversation.tool_choice import ToolChoice
from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json, dump, invalid

MAX_TOOLS: Final = 128
MAX_DESCRIPTION_CHARS: Final = 8_000
MAX_PARAMETERS_BYTES: Final = 64 * 1024


def read_tools(fields: Json, path: str) -> tuple[Tool, ...]:
    """The functions of `tools`; none where it is absent or null. Raises PeerError."""
    given = read.records(fields, "tools", path, MAX_TOOLS)
    tools = tuple(_tool(tool, f"{path}[{at}]") for at, tool in enumerate(given))
    if len({tool.name for tool in tools}) < len(tools):
        raise invalid(f"{path} must not name a tool twice", param=path)
    return tools


def read_choice(fields: Json, path: str) -> ToolChoice:
    """`tool_choice`: auto, none, required, or one function. Raises PeerError."""
    match fields.get("tool_choice"):
        case None | "auto":
            return ToolChoice()
        case "none":
            return ToolChoice(only=())
        case "required":
            return ToolChoice(must=True)
        case {"type": "function", "name": str(name)}:
            return ToolChoice(only=(name,), must=True)
        case _:
            raise invalid(f"{path} must be auto, none, required or a function", param=path)


def _tool(fields: Json, path: str) -> Tool:
    if fields.get("type", "function") != "function":
        raise invalid(f"{path}.type must be function", param=f"{path}.type")
    name = read.string(fields, "name", f"{path}.name", 64)
    if not read.TOOL_NAME.fullmatch(name):
        raise invalid(f"{path}.name must be of A-Z, a-z, 0-9, _ and -", param=f"{path}.name")
    where = f"{path}.description"
    description = read.optional_string(fields, "description", where, MAX_DESCRIPTION_CHARS)
    parameters = read.record(fields, "parameters", f"{path}.parameters")
    if not parameters:
        return Tool(name, description or "")
    written = dump(parameters)
    if len(written) > MAX_PARAMETERS_BYTES:
        raise invalid(f"{path}.parameters may have {MAX_PARAMETERS_BYTES} bytes", param=path)
    return Tool(name, description or "", written)
