"""Owns what of a stream of Markdown and HTML is text; knows nothing of how text is spoken.

Works a character at a time, so that how the stream was cut into pieces cannot matter. It emits
text with its marks taken out, a space where white space was, and a newline where a block ends
(a heading, a list item, a table's row, a paragraph). At most `MOST_HELD` characters wait for a
later one to tell what they are; code blocks and the targets of links are dropped as they come.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from serve_app.conversation.code_block import CodeBlock

MOST_HELD = 200

_MARKER = re.compile(r"#{1,6}|[-+*•]|\d{1,2}[.)]?|`+|~+")
_LISTED = re.compile(r"(\d{1,2})[.)]")
_CITATION = re.compile(r"\[\^?\d{0,3}|\[[ xX]?")
_TAG = re.compile(
    r"</?[a-zA-Z][\w-]*(\s+[\w:-]+\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>\"']+))*\s*/?>|<!.*>"
)
_LINE_TAG = re.compile(r"</?(br|p|div|li|ul|ol|tr|td|th|hr|h[1-6])\b", re.IGNORECASE)
_LINK_STARTS = ("http://", "https://", "www.")
_ENDS_LINK = frozenset('<>)]"*`|')


class MarkupStripper:
    """Strips one reply. `_step` is the state: what is done with the next character."""

    def __init__(self) -> None:
        self._step: Callable[[str], None] = self._line_start
        self._holds: dict[str, Callable[[str], None]] = {
            "*": self._star,
            "_": self._underscore,
            "~": self._tilde,
            "!": self._bang,
            "\\": self._backslash,
            "[": self._open_bracket,
            "]": self._close_bracket,
            "<": self._tag,
            "&": self._entity,
        }
        self._out: list[str] = []
        self._last = "\n"  # the last character emitted, for marks whose sense depends on it
        self._ink = ""  # the same, white space aside
        self._word = ""  # the beginning of the current word, to see that it is a link
        self._held = ""
        self._in_block = False  # this line is a heading, a list item or a table's row
        self._gap = ""  # the break to emit if text follows
        self._code = CodeBlock("")
        self._depth = 0  # open parentheses in a link's target

    def feed(self, text: str) -> str:
        """The text that is certain now."""
        for character in text:
            self._step(character)
        plain = "".join(self._out)
        self._out.clear()
        return plain

    def end(self) -> str:
        """The rest of the text."""
        return self.feed("\n")

    def _emit(self, text: str) -> None:
        self._out.append(text)
        self._last = text[-1]
        if text.isspace():
            self._word = ""
            return
        self._ink = self._last
        if len(self._word) < len("https://") and (self._word or text.isalpha()):
            self._word += text
            if self._word.lower() in _LINK_STARTS:
                self._step = self._link

    def _replay(self, text: str) -> None:
        """Read held characters as text after all."""
        self._step = self._inline
        for character in text:
            self._step(character)

    def _line_start(self, ch: str) -> None:
        """Between a line's beginning and its first character of text."""
        held = self._held
        if ch == "\n":
            if not held:
                self._gap = "\n"
            elif self._opens_fence():
                self._step = self._code_line
            elif held in "-+*•":
                self._held = ""
            else:
                self._begin_text(held + ch)
        elif ch.isspace():
            if held:
                self._marker(ch)
        elif not held and ch == ">":
            return
        elif not held and ch == "|":
            self._in_block = True
            self._gap = "\n"
        elif _MARKER.fullmatch(held + ch) and len(held) < MOST_HELD:
            self._held += ch
        elif self._opens_fence():
            self._step = self._fence_info
            self._fence_info(ch)
        else:
            self._begin_text(held + ch)

    def _marker(self, ch: str) -> None:
        """`held` is followed by a space: a marker, the info of a code block, or just text."""
        held = self._held
        listed = _LISTED.fullmatch(held)
        if self._opens_fence():
            self._step = self._fence_info
        elif held[0] in "#-+•" or held == "*":
            self._start_block()
            if held[0] == "#":
                self._begin_text("")
        elif listed:
            self._start_block()
            self._begin_text(f"{listed[1]}, ")
        else:
            self._begin_text(held + ch)

    def _start_block(self) -> None:
        self._in_block = True
        self._held = ""
        self._gap = "\n"

    def _begin_text(self, text: str) -> None:
        self._held = ""
        if self._gap:
            self._emit(self._gap)
            self._gap = ""
        self._replay(text)

    def _opens_fence(self) -> bool:
        """Whether `held` opens a code block; if so it is let go."""
        if not self._held.startswith(("```", "~~~")):
            return False
        self._code, self._held = CodeBlock(self._held), ""
        return True

    def _fence_info(self, ch: str) -> None:
        """The rest of the line that opens a code block. With a backtick in it, it opened none."""
        if ch == "`" and self._code.fence[0] == "`":
            self._begin_text(self._held)
        elif ch == "\n" or len(self._held) >= MOST_HELD:
            self._held = ""
            self._step = self._code_line
        else:
            self._held += ch

    def _code_line(self, ch: str) -> None:
        if self._code.ends_with(ch):
            self._gap = "\n"
            self._step = self._line_start

    def _inline(self, ch: str) -> None:
        """Text."""
        hold = self._holds.get(ch)
        if ch == "\n":
            self._emit("\n" if self._in_block else " ")
            self._in_block = False
            self._held = ""
            self._step = self._line_start
        elif ch.isspace():
            self._emit(" ")
        elif ch == "!" and not self._last.isspace():
            self._emit(ch)  # the end of a sentence, not an image: it must not wait
        elif hold:
            self._held = ch
            self._step = hold
        elif ch != "`":
            self._emit(ch)

    def _link(self, ch: str) -> None:
        """A bare link: marks in it are its own."""
        if ch.isspace() or ch in _ENDS_LINK or not ch.isascii():
            self._step = self._inline
            self._inline(ch)
        else:
            self._out.append(ch)
            self._last = ch

    def _star(self, ch: str) -> None:
        if ch == "*":
            self._held = "**"
            return
        spaced = self._last.isspace() and ch.isspace()
        tight = self._last.isdigit() and ch.isdigit()
        if self._held == "*" and self._ink.isdigit() and (spaced or tight):
            self._emit("×")
        self._replay(ch)

    def _underscore(self, ch: str) -> None:
        if self._last.isalnum() and ch.isalnum():
            self._emit(" ")
        self._replay(ch)

    def _tilde(self, ch: str) -> None:
        if ch.isdigit() and not self._last.isalnum():
            self._emit("~")
        self._replay(ch)

    def _bang(self, ch: str) -> None:
        if ch != "[":
            self._emit("!")
        self._replay(ch)

    def _backslash(self, ch: str) -> None:
        self._step = self._inline
        if ch.isalnum() or ch.isspace():
            self._emit(" ")
            self._inline(ch)
        elif ch not in "*`\\":
            self._emit(ch)

    def _open_bracket(self, ch: str) -> None:
        """A link's text is read as it comes; only a citation or a check box is dropped."""
        if ch == "]" and self._held not in ("[", "[^"):
            self._step = self._close_bracket
        elif _CITATION.fullmatch(self._held + ch):
            self._held += ch
        else:
            self._replay(self._held[1:] + ch)

    def _close_bracket(self, ch: str) -> None:
        if ch == "(":
            self._depth = 1
            self._step = self._link_target
            return
        if ch == "[":
            self._emit(" ")
        self._replay(ch)

    def _link_target(self, ch: str) -> None:
        """A link's address, dropped. White space that no title follows means it never closes."""
        self._depth += (ch == "(") - (ch == ")")
        if self._depth == 0:
            self._step = self._inline
        elif ch == "\n" or not ch.isascii():
            self._replay(ch)
        elif ch.isspace():
            self._held = " "
            self._step = self._link_title

    def _link_title(self, ch: str) -> None:
        """After the address: `held` is the white space and the title so far."""
        title = self._held.strip()
        quoted = len(title) > 1 and title[-1] == title[0]
        if ch == ")" and (not title or quoted):
            self._step = self._inline
        elif ch == "\n" or len(self._held) >= MOST_HELD or not (title or ch in "\"' "):
            self._replay(self._held + ch)
        else:
            self._held += ch

    def _tag(self, ch: str) -> None:
        held = self._held
        if held == "<" and not (ch.isalpha() or ch in "/!"):
            self._emit("<")
            self._replay(ch)
        elif ch == ">":
            self._close_tag(held + ch)
        elif ch in "<\n" or len(held) >= MOST_HELD:
            self._emit("<")
            self._replay(held[1:] + ch)
        else:
            self._held += ch

    def _close_tag(self, tag: str) -> None:
        self._step = self._inline
        if "://" in tag.split()[0] or ("@" in tag and " " not in tag):
            for character in tag[1:-1]:  # an address in angle brackets
                self._step(character)
        elif not _TAG.fullmatch(tag):
            self._emit("<")
            self._replay(tag[1:])
        elif _LINE_TAG.match(tag):
            self._emit(" ")

    def _entity(self, ch: str) -> None:
        held = self._held
        plain = html.unescape(held + ch) if ch == ";" else ""
        if (ch == "#" and held == "&") or (ch.isalnum() and ch.isascii() and len(held) < 10):
            self._held += ch
        elif plain and plain != held + ch:
            self._step = self._inline
            for character in plain:
                self._emit(" " if character.isspace() else character)
        else:
            self._emit("&")
            self._replay(held[1:] + ch)
