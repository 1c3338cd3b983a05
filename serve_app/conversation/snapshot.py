"""A conversation as it is kept, so that it can go on elsewhere: what was said, settled and owed.

Values alone; how they are written and where they are kept is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace

from deployments.contracts import Message
from serve_app.conversation.announcements import (
    ConversationResumed,
    ReplyDone,
    ReplyStarted,
    ToolCalled,
)
from serve_app.conversation.commands import Command, ContinueReply, RunTool, Tell
from serve_app.conversation.events import ConfigChanged, ReplyRequested
from serve_app.conversation.history import Entry
from serve_app.conversation.spoken_text import SpokenText

_MARKS = " .,;:!?…。，、；：！？"


@dataclass(frozen=True, slots=True)
class CutReply:
    """A reply in progress: how it was asked for, what tools gave, and how far it came.

    `text` is what was written of it, `heard` what of that the caller surely heard.
    """

    reply_id: str
    request: ReplyRequested
    exchange: tuple[Message, ...]
    text: str
    heard: str

    def owed(self, language: str) -> list[ReplyRequested]:
        """What is left to say: the rest of it, or all of it anew if nothing was heard."""
        if not self.heard:
            return [self.request]
        rest = unheard(self.text, self.heard, language)
        return [replace(self.request, text=rest)] if rest else []


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A conversation at one moment.

    messages    the history, without the reply in progress
    turns       the caller's, those that the history has forgotten included
    config      what the client settled, in force
    replies     begun so far: their ids are not used again
    cut         the reply in progress
    unanswered  turns that wait for that reply's end
    requests    replies that the client asked for and that have not begun
    lasted_s    how long the call has lasted, all its connections together
    """

    messages: tuple[Entry, ...] = ()
    turns: int = 0
    config: ConfigChanged = field(default_factory=ConfigChanged)
    replies: int = 0
    cut: CutReply | None = None
    unanswered: tuple[Entry, ...] = ()
    requests: tuple[ReplyRequested, ...] = ()
    lasted_s: float = field(default=0.0, compare=False)

    def said(self) -> tuple[Entry, ...]:
        """The history to go on with: what was heard of the reply that was cut is in it."""
        cut: list[Entry] = []
        if self.cut and self.cut.request.remembered:
            cut += [Entry("", message) for message in self.cut.exchange]
            if self.cut.heard:
                cut.append(Entry(self.cut.reply_id, Message("assistant", self.cut.heard)))
        return (*self.messages, *cut, *self.unanswered)

    def told(self) -> ConversationResumed:
        """What a client that comes back is told of it."""
        said = [entry.message for entry in self.said()]
        last = max((at for at, one in enumerate(said) if one.role == "user"), default=None)
        after = [] if last is None else said[last + 1 :]
        heard = [one.content for one in after if one.role == "assistant" and one.content]
        return ConversationResumed(
            turns=self.turns + len(self.unanswered),
            messages=len(said),
            last_turn="" if last is None else said[last].content,
            heard=" ".join(heard),
        )

    def owed(self, language: str) -> list[ReplyRequested]:
        """The replies to begin with; `language` is the call's, where the client settled none."""
        rest = self.cut.owed(self.config.language or language) if self.cut else []
        answers = bool(self.unanswered) and self.config.answers_turns is not False
        return [*rest, *([ReplyRequested()] if answers else []), *self.requests]


def merged(settled: ConfigChanged, change: ConfigChanged) -> ConfigChanged:
    """What is in force after a change."""
    changes = {one.name: getattr(change, one.name) for one in fields(change)}
    return replace(settled, **{name: new for name, new in changes.items() if new is not None})


def unheard(text: str, heard: str, language: str) -> str:
    """What a voice makes of `text`, after what was `heard` of that.

    Counted in characters other than white space, which is all that phrases and their cuts change.
    """
    spoken = SpokenText(language)
    whole = spoken.feed(text) + spoken.end()
    left = len("".join(heard.split()))
    for at, character in enumerate(whole):
        if left == 0:
            return whole[at:].lstrip(_MARKS)
        left -= not character.isspace()
    return ""


def decisive(commands: Iterable[Command]) -> bool:
    """Whether these change what must not be lost: a turn was taken, a reply ended, a tool runs."""
    return any(_is_decisive(command) for command in commands)


def _is_decisive(command: Command) -> bool:
    match command:
        case RunTool() | ContinueReply():
            return True
        case Tell(announcement=ReplyStarted() | ReplyDone() | ToolCalled()):
            return True
        case _:
            return False
