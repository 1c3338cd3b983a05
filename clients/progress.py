"""Whether the turn that was spoken has been answered, told by the server's events. Pure."""

from __future__ import annotations

from clients.events import (
    Event,
    Final,
    Ready,
    Reconnecting,
    ReplyDone,
    ReplyStarted,
    ServerError,
    SpeechStarted,
    SpeechStopped,
)


class Progress:
    """Follows one call, turn after turn.

    A recording may hold a pause, so that the server takes it for two turns, answers the first
    and is interrupted by the second: an answer counts only if nothing is still being heard,
    transcribed or said.
    """

    def __init__(self) -> None:
        """Nothing has been said."""
        self.ready = False
        """The server has opened the call."""
        self.failure: str | None = None
        """Why the turn's last reply failed."""
        self._answered = False
        self._replying = False
        self._listening = False
        self._transcripts_due = 0

    @property
    def settled(self) -> bool:
        """The turn has its answer, and nothing is going on any more."""
        busy = self._replying or self._listening or self._transcripts_due > 0
        return self._answered and not busy

    def begin_turn(self) -> None:
        """The next turn is going to be spoken."""
        self._answered = False
        self.failure = None

    def handle(self, event: Event) -> None:
        """Take note of what the server said."""
        match event:
            case Ready():
                self.ready = True
            case Reconnecting():
                # What was going on is over; the rest of a reply comes as a new one.
                self._replying = self._listening = False
                self._transcripts_due = 0
            case SpeechStarted():
                self._listening = True
            case SpeechStopped():
                self._listening = False
                self._transcripts_due += 1
            case Final(text=text):
                # It may come late, when the next turn has begun: that one is still heard.
                self._transcripts_due = max(0, self._transcripts_due - 1)
                self._answered = self._answered and not text
            case ReplyStarted():
                self._replying = True
            case ReplyDone(status=status):
                self._replying = False
                self._answered = status != "interrupted"
                if status == "completed":
                    self.failure = None
                elif status == "failed":
                    self.failure = self.failure or "the reply failed"
            case ServerError(message=message):
                self._transcripts_due = 0
                self.failure = message
            case _:
                pass
