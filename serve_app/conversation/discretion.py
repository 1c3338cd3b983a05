"""What a client that cannot resume a reply is told of speech over it: nothing, unless it counts.

Such a client drops a reply for good when it hears that the caller speaks. So what is told of a
turn that began over a reply waits until the reply is over, which the turn's words may be the
reason for; if the turn proves to be none, it is never told.
"""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.conversation import announcements as say
from serve_app.conversation.commands import Command, Tell

_OF_THE_CALLER = (
    say.SpeechStarted,
    say.SpeechStopped,
    say.PartialTranscript,
    say.FinalTranscript,
)
_OF_AN_END = (say.ReplyFlushed, say.ReplyDone)


class Discretion:
    """Stands between the machine and the client."""

    def __init__(self) -> None:
        self._held: list[Command] = []
        self._holding = False

    def pass_on(
        self, commands: Sequence[Command], *, over_reply: bool, undecided: bool
    ) -> list[Command]:
        """What of the machine's commands is for now.

        `over_reply`: a reply that speech may end is in progress, or was when these came about.
        `undecided`: it is still open whether the caller says something.
        """
        out: list[Command] = []
        for command in commands:
            told = command.announcement if isinstance(command, Tell) else None
            if isinstance(told, say.SpeechStarted) and over_reply:
                self._holding = True
            if isinstance(told, _OF_AN_END):
                out += self._let_go()
            if self._holding and isinstance(told, _OF_THE_CALLER):
                self._held.append(command)
            else:
                out.append(command)
        if not undecided:
            self._held.clear()
            self._holding = False
        return out

    def _let_go(self) -> list[Command]:
        held, self._held = self._held, []
        self._holding = False
        return held
