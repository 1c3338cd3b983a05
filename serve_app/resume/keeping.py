"""A call's conversation and its line to the store, if it has one: when what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from serve_app.conversation.announcements import Announcement, CallReady, Moving
from serve_app.conversation.commands import Command
from serve_app.conversation.events import ConfigChanged
from serve_app.conversation.snapshot import Snapshot, decisive
from serve_app.conversation.turn import TurnMachine
from serve_app.resume.line import Line


class Keeping:
    """Keeps the conversation of `machine`; without a line it keeps nothing."""

    def __init__(self, line: Line | None, machine: TurnMachine) -> None:
        self._line = line
        self._machine = machine

    def ready(self, ready: CallReady) -> list[Announcement]:
        """What the client is told first. A conversation that was kept is gone on with."""
        line = self._line
        if line is None:
            return [ready]
        settled = ConfigChanged(voice=ready.voice, language=ready.language)
        self._machine.restore(line.resumed or Snapshot(config=settled))
        told = replace(ready, resume=line.token, resume_s=line.keep_s)
        return [told, line.resumed.told()] if line.resumed else [told]

    def begin(self) -> None:
        """The call runs: keep what it comes to."""
        if self._line:
            self._line.follow(self._seen)

    def mind(self, commands: Sequence[Command]) -> None:
        """Keep at once what these must not lose."""
        if self._line and decisive(commands):
            self._line.keep()

    def leave(self) -> None:
        """The call broke off, and is kept as it is now; or it is over, and forgotten."""
        if self._line:
            self._line.leave(None if self._machine.ended else self._seen())

    @property
    def keeps(self) -> bool:
        """There is a line: the client can come back."""
        return self._line is not None

    def move(self) -> list[Announcement]:
        """What a client is told that is to come back elsewhere."""
        return [Moving(self._line.token)] if self._line else []

    async def superseded(self) -> None:
        """Until another connection goes on with the conversation."""
        await (self._line.superseded.wait() if self._line else asyncio.Event().wait())

    def _seen(self) -> Snapshot:
        return self._machine.snapshot(asyncio.get_running_loop().time())
