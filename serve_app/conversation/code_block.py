"""Owns where a fenced code block of Markdown ends."""

from __future__ import annotations


class CodeBlock:
    """A fenced code block while it is dropped: nothing of it is kept, however long it is."""

    def __init__(self, fence: str) -> None:
        self.fence = fence
        self._run = 0  # length of what may close the block on this line; -1: nothing may

    def ends_with(self, ch: str) -> bool:
        """Take the block's next character; whether it was the last."""
        if ch == "\n":
            run, self._run = self._run, 0
            return run >= len(self.fence)
        if ch == self.fence[0] and self._run >= 0:
            self._run += 1
        elif not ch.isspace():
            self._run = -1
        return False
