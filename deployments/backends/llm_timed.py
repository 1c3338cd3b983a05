"""A language model of known speed, for benchmarks and tests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from deployments.backends import register
from deployments.contracts import ReplyRequest, StageInfo, TextDelta


@register("llm", "timed")
class TimedLanguageModel:
    """Replies with `text`, a word a token: the first after `first_token_ms`, then `token_ms` each.

    Tokens keep to the clock of their own reply: a late one does not delay those after it.
    `{said}` in the text becomes the caller's last message.
    """

    def __init__(
        self,
        *,
        first_token_ms: float = 60.0,
        token_ms: float = 15.0,
        text: str = "I hear what you have said to me. Tell me some more about it. I have time.",
    ) -> None:
        self._first_token_s = first_token_ms / 1000
        self._token_s = token_ms / 1000
        self._text = text

    async def load(self) -> StageInfo:
        """Nothing to load."""
        return StageInfo(backend="timed")

    async def reply(self, request: ReplyRequest) -> AsyncIterator[TextDelta]:
        """The text, whatever was asked."""
        said = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        clock = asyncio.get_running_loop().time
        due = clock() + self._first_token_s
        for token in re.findall(r"\S+\s*", self._text.replace("{said}", said)):
            await asyncio.sleep(due - clock())
            yield TextDelta(token)
            due += self._token_s

    async def close(self) -> None:
        """Nothing to free."""
