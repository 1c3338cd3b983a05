"""A call on a terminal: above what is settled, in the last line what moves.

The last line has the microphone's level and the end of what grows: it is drawn over itself, by a
carriage return and spaces. Once what grows is whole it is written above, as on a Screen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from clients.screen import Screen


class LiveScreen(Screen):
    """Writes a call's progress as it happens, the microphone's level with it."""

    def __init__(self, out: TextIO, columns: Callable[[], int]) -> None:
        """`columns`: how many the terminal has now."""
        super().__init__(out)
        self._columns = columns
        self._level = ""
        self._label = ""
        self._text = ""
        self._drawn = 0

    def level(self, text: str) -> None:
        """How the microphone stands."""
        self._level = text
        self._draw(f"{text}  {self._text}" if self._text else text)

    def line(self, label: str, text: str) -> None:
        """See Screen."""
        self.close()
        super().line(label, text)
        self._draw(self._level)

    def block(self, text: str) -> None:
        """See Screen."""
        self.close()
        super().block(text)

    def grow(self, label: str, piece: str) -> None:
        """See Screen."""
        if self._label != label:
            self.close()
            self._label = label
            piece = piece.lstrip()
        self._text += piece.replace("\n", " ")
        self._draw(f"{self._level}  {self._text}")

    def close(self) -> None:
        """What grew is whole; the last line is empty."""
        self._draw("")
        if self._label:
            label, text = self._label, self._text
            self._label = self._text = ""
            super().line(label, text)

    def _draw(self, text: str) -> None:
        """In place of what is in the last line: its end, where that does not fit."""
        if not text and not self._drawn:
            return
        fits = max(1, self._columns() - 1)
        shown = text if len(text) <= fits else self._cut(text, fits)
        self._out.write("\r" + shown.ljust(self._drawn) + "\r" + shown)
        self._out.flush()
        self._drawn = len(shown)

    def _cut(self, text: str, fits: int) -> str:
        """The level whole, and of the words the last."""
        head = text[: len(self._level) + 2]
        tail = fits - len(head) - 2
        return f"{head}..{text[-tail:]}" if tail > 0 else text[:fits]
