"""What a terminal shows of a call: its lines, after all that was drawn over."""

from __future__ import annotations

import io

from clients import events
from clients.live_screen import LiveScreen


class _Terminal(io.StringIO):
    """Carriage returns and line feeds as a terminal takes them."""

    def lines(self) -> list[str]:
        """What is to be seen, without the spaces at the ends of lines."""
        rows: list[str] = []
        for written in self.getvalue().split("\n"):
            row = ""
            for piece in written.split("\r"):
                row = piece + row[len(piece) :]
            rows.append(row.rstrip())
        return rows


def _screen(columns: int = 60) -> tuple[_Terminal, LiveScreen]:
    terminal = _Terminal()
    return terminal, LiveScreen(terminal, lambda: columns)


def test_the_level_moves_in_the_last_line():
    """Lines are written above it, whole."""
    terminal, screen = _screen()
    screen.line("listening", "speak")
    screen.level("[####] voice")
    screen.level("[##--] quiet")
    assert terminal.lines() == ["listening   speak", "[##--] quiet"]
    screen.show(events.Final("hello", 0, 9))
    assert terminal.lines() == ["listening   speak", "you         hello", "[##--] quiet"]


def test_what_grows_is_beside_the_level():
    """Until it is whole: then it is a line, as on any screen."""
    terminal, screen = _screen()
    screen.level("[##--] echo")
    screen.show(events.ReplyText("r1", " Why do"))
    screen.show(events.ReplyText("r1", " you\nneed it?"))
    assert terminal.lines() == ["[##--] echo  Why do you need it?"]
    screen.level("[----] echo")
    assert terminal.lines() == ["[----] echo  Why do you need it?"]
    screen.show(events.ReplyDone("r1", "completed", ""))
    assert terminal.lines() == ["agent       Why do you need it?", ""]


def test_one_that_grows_after_another():
    """The first is whole when the second begins."""
    terminal, screen = _screen()
    screen.show(events.Partial("I need"))
    screen.show(events.ReplyText("r1", "Why"))
    screen.block("a table")
    assert terminal.lines() == ["hearing     I need", "agent       Why", "", "a table", ""]


def test_a_narrow_terminal():
    """The last words stay in sight, and no line is broken."""
    terminal, screen = _screen(columns=30)
    screen.level("[##--] echo")
    screen.show(events.ReplyText("r1", "one two three four five six"))
    (shown,) = terminal.lines()
    assert shown == "[##--] echo  .. four five six"
    assert len(shown) < 31
    _, tiny = _screen(columns=8)
    tiny.level("[##--] echo")
    screen.close()
    assert terminal.lines() == ["agent       one two three four five six", ""]
