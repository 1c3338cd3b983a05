"""One call's line to the store: what it keeps there and when, and how another takes it over.

Writing is done beside the call and never waited for. One write is on its way and one state waits:
a newer state takes its place. A store that fails costs the call nothing but what it would have
come back to.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from typing import Final

from deployments.logs import logger
from serve_app import metrics
from serve_app.conversation.snapshot import Snapshot
from serve_app.resume.snapshot_json import TooBig, decode, encode
from serve_app.resume.store import FORGOTTEN, ConversationStore, StoreLost

log = logger("resume")

LOOK_S: Final = 1.0
"""While a reply is spoken what was heard of it grows: it is looked at this often."""

REFRESH_S: Final = 5.0
"""A conversation in which nothing happens is written this often: so that it is kept, and so that
a connection nobody is at any more learns that another took its place."""

TIMEOUT_S: Final = 2.0
"""For the store, one write."""

_SLACK: Final = 4
"""Refreshes that a conversation outlives at the least."""


class Line:
    """A call's. `resumed`: the conversation that it goes on with; None: a new one."""

    def __init__(
        self,
        store: ConversationStore,
        owner: str,
        keep_s: float,
        writing: set[asyncio.Task[None]],
        token: str | None = None,
    ) -> None:
        """`writing`: holds what is being written, when the call is over too."""
        self.token = token or secrets.token_urlsafe(24)
        self.owner = owner
        self.keep_s = keep_s
        self.resumed: Snapshot | None = None
        self.superseded = asyncio.Event()
        """Another connection took the conversation: this one is to be closed."""
        self._store = store
        self._key = key_of(self.token)
        self._holder = secrets.token_hex(8)
        self._look: Callable[[], Snapshot] | None = None
        self._last: Snapshot | None = None
        self._waiting: bytes | None = None
        self._all_writing = writing
        self._writing: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._refresh_at = 0.0
        self._failing = False

    async def take(self) -> bool:
        """Go on with the conversation of the token, if there is one. Does not raise."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                data = await self._store.take(self._key, self._holder, self.owner)
            self.resumed = None if data is None else decode(data)
        except (StoreLost, TimeoutError, ValueError) as error:
            log.warning("a conversation cannot be resumed: %s", str(error) or "time-out")
            metrics.resumed("failed")
            return False
        metrics.resumed("unknown" if self.resumed is None else "resumed")
        return self.resumed is not None

    def follow(self, look: Callable[[], Snapshot]) -> None:
        """Keep what `look` sees from now on, until `leave`."""
        self._look = look
        self._mind()

    def keep(self) -> None:
        """Something happened that must not be lost."""
        if self._look:
            self._write(self._look())

    def leave(self, last: Snapshot | None) -> None:
        """The call is over: keep `last`, or, with None, nothing. Only the first word counts."""
        if self._look is None:
            return
        self._stop()
        if last is not None:
            self._write(last)
        else:
            self._begin_writing(FORGOTTEN)

    async def hand_over(self) -> None:
        """Another connection comes for the conversation: keep it as it is now, then let go."""
        if self._look:
            self.leave(self._look())
        self.superseded.set()
        await self.written()

    async def written(self) -> None:
        """Wait for what is to be written."""
        if self._writing:
            await asyncio.wait([self._writing])

    def _mind(self) -> None:
        assert self._look is not None, "the alarm goes with the call"
        loop = asyncio.get_running_loop()
        seen = self._look()
        if seen != self._last or loop.time() >= self._refresh_at:
            self._write(seen)
        self._alarm = loop.call_later(min(LOOK_S, self.keep_s / _SLACK), self._mind)

    def _stop(self) -> None:
        self._look = None
        if self._alarm:
            self._alarm.cancel()

    def _write(self, snapshot: Snapshot) -> None:
        refresh_s = min(REFRESH_S, self.keep_s / _SLACK)
        self._last, self._refresh_at = snapshot, asyncio.get_running_loop().time() + refresh_s
        try:
            self._begin_writing(encode(snapshot))
        except TooBig as error:
            log.warning("a conversation is not kept: %s", error)
            metrics.kept("too_big")

    def _begin_writing(self, data: bytes) -> None:
        self._waiting = data
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
            self._all_writing.add(self._writing)
            self._writing.add_done_callback(self._all_writing.discard)

    async def _write_all(self) -> None:
        while (data := self._waiting) is not None:
            self._waiting = None
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    held = await self._store.put(self._key, self._holder, self.owner, data)
            except (StoreLost, TimeoutError) as error:
                metrics.kept("failed")
                if not self._failing:
                    log.warning("conversations are not kept: %s", str(error) or "time-out")
                self._failing = True
                continue
            self._failing = False
            if not held:
                metrics.kept("superseded")
                self._stop()
                self._waiting = None
                self.superseded.set()
                return
            metrics.kept("written")


def key_of(token: str) -> str:
    """What a token's conversation is kept under: who reads the store cannot resume it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
