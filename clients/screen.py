"""What a call looks like as text: labelled lines, the last of which may grow. No escape codes.

So it reads the same on a terminal, in a pipe and in a log.
"""

from __future__ import annotations

from typing import TextIO

from clients.events import (
    Event,
    Final,
    Flush,
    Partial,
    Ready,
    Reconnecting,
    Recording,
    ReplyDone,
    ReplyResumed,
    ReplyText,
    Resumed,
    ServerError,
)

_LABEL_WIDTH = 11


class Screen:
    """Writes a call's progress as it happens."""

    def __init__(self, out: TextIO) -> None:
        """Write to `out`, flushed after every piece."""
        self._out = out
        self._growing: str | None = None

    def line(self, label: str, text: str) -> None:
        """A whole line; the one that was growing ends first."""
        self.close()
        self._out.write(f"{label:<{_LABEL_WIDTH}} {text}\n")
        self._out.flush()

    def block(self, text: str) -> None:
        """Lines of their own, after an empty one."""
        self.close()
        self._out.write(f"\n{text}\n")
        self._out.flush()

    def grow(self, label: str, piece: str) -> None:
        """More of the line with this label; begins it if another one is growing."""
        if self._growing != label:
            self.close()
            self._out.write(f"{label:<{_LABEL_WIDTH}} ")
            self._growing = label
            piece = piece.lstrip()
        self._out.write(piece.replace("\n", " "))
        self._out.flush()

    def level(self, text: str) -> None:
        """How the microphone stands: not for a log."""

    def close(self) -> None:
        """End the growing line."""
        if self._growing is not None:
            self._out.write("\n")
            self._growing = None

    def show(self, event: Event) -> None:
        """What a person wants to see of an event; many are not shown."""
        match event:
            case Ready(call_id=call_id, voice=voice):
                self.line("connected", f"call {call_id}, voice {voice or 'default'}")
            case Reconnecting(close_code=close_code):
                self.line("", f"(the connection was lost, {close_code}: coming back)")
            case Resumed(turns=turns):
                self.line("", f"(back: {turns} turns are known)")
            case Recording(on=True, keep_days=None):
                self.line("", "(recorded from now on)")
            case Recording(on=True, keep_days=keep_days):
                self.line("", f"(recorded from now on, kept for {keep_days:g} days)")
            case Recording():
                self.line("", "(not recorded any more; what there was is deleted)")
            case Partial(text=text):
                self.grow("hearing", text)
            case Final(text=text):
                self.line("you", text or "(no words)")
            case ReplyText(delta=delta):
                self.grow("agent", delta)
            case Flush():
                self.line("", "(stops)")
            case ReplyResumed():
                self.line("", "(goes on)")
            case ReplyDone(status="interrupted", heard=heard):
                self.line("", f"(interrupted; heard: {heard or 'nothing'})")
            case ReplyDone(status="failed"):
                self.line("", "(the reply failed)")
            case ReplyDone():
                self.close()
            case ServerError(code=code, message=message):
                self.line("error", f"{message} ({code})")
            case _:
                pass
