"""Which tools a reply is offered, and whether it has to call one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployments.contracts import Tool


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`only` those of these names, None: any. `must`: the model is to call one."""

    only: tuple[str, ...] | None = None
    must: bool = False

    def of(self, tools: Sequence[Tool]) -> tuple[Tool, ...]:
        """Those of `tools` that may be called."""
        return tuple(tool for tool in tools if self.only is None or tool.name in self.only)
