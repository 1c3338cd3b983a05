"""The lines of one replica's calls, over the store that the operator chose."""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakValueDictionary

from serve_app.resume.line import Line, key_of
from serve_app.resume.memory import ActorConversations
from serve_app.resume.redis import RedisConversations
from serve_app.resume.store import ConversationStore, ResumeSettings

MAX_TOKEN_CHARS: Final = 100


class Lines:
    """Begins them, and finds that of a call which is still held here."""

    def __init__(self, store: ConversationStore, keep_s: float) -> None:
        self.store = store
        self._keep_s = keep_s
        self._writing: set[asyncio.Task[None]] = set()
        self._lines: WeakValueDictionary[str, Line] = WeakValueDictionary()

    async def line(self, token: str | None, owner: str) -> Line:
        """A call's, which goes on with the token's conversation if that is there to be had."""
        if token is not None and len(token) <= MAX_TOKEN_CHARS:
            here = self._lines.get(key_of(token))
            if here is not None and here.owner == owner:
                # What this replica knows is newer than what the store does.
                await here.hand_over()
            line = Line(self.store, owner, self._keep_s, self._writing, token)
            if await line.take():
                return self._listed(line)
        return self._listed(Line(self.store, owner, self._keep_s, self._writing))

    async def close(self) -> None:
        """Wait for what is being written, and close the store."""
        if self._writing:
            await asyncio.wait(self._writing)
        await self.store.close()

    def _listed(self, line: Line) -> Line:
        self._lines[key_of(line.token)] = line
        return line


def new_lines(settings: ResumeSettings) -> Lines | None:
    """None where conversations are not kept. Raises ConfigError."""
    if settings.store == "none":
        return None
    if settings.redis_url is None:
        return Lines(ActorConversations(settings.keep_s), settings.keep_s)
    return Lines(RedisConversations(settings.redis_url, settings.keep_s), settings.keep_s)
