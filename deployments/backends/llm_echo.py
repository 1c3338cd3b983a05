"""A language model that says back what it heard: a voice-to-voice check without a model."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from deployments.backends import register
from deployments.contracts import BadInput, ReplyRequest, StageInfo, TextDelta


@register("llm", "echo")
class Echo:
    """Replies with the caller's last message, a word at a time."""

    async def load(self) -> StageInfo:
        """Nothing to load."""
        return StageInfo(backend="echo")

    async def reply(self, request: ReplyRequest) -> AsyncIterator[TextDelta]:
        """The last user message. Raises BadInput where there is none."""
        said = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        if not said.strip():
            raise BadInput("there is no user message to answer")
        for word in re.findall(r"\S+\s*", said.strip()):
            yield TextDelta(word)

    async def close(self) -> None:
        """Nothing to free."""
