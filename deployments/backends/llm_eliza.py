"""ELIZA, the first conversation partner: nltk's rules, on any CPU, with no model to download."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Iterable
from importlib import import_module
from typing import ClassVar, Protocol, cast

from deployments.backends import register
from deployments.contracts import BadInput, LoadFailed, ReplyRequest, StageInfo, TextDelta

_LONGEST = 1000
"""Characters of a message that are matched: some rules take quadratic time."""


class _Chat(Protocol):
    def respond(self, str: str) -> str | None: ...


@register("llm", "eliza")
class Eliza:
    """Answers the caller's last message by the first rule that matches it.

    A rule has several answers. With `seed` the pick depends on the seed and the message alone,
    so an answer can be foretold; without, it is random. No call leaves anything behind.
    """

    requires: ClassVar[tuple[str, ...]] = ("nltk",)

    def __init__(self, *, seed: int | None = None) -> None:
        self._seed = seed
        self._rules: tuple[tuple[_Chat, ...], ...] = ()

    async def load(self) -> StageInfo:
        """Import nltk and compile the rules (about a second). Raises LoadFailed."""
        try:
            eliza, util = import_module("nltk.chat.eliza"), import_module("nltk.chat.util")
        except ImportError as error:
            raise LoadFailed(f"llm backend 'eliza' needs nltk: {error}") from error
        rules = cast(Iterable[tuple[str, tuple[str, ...]]], eliza.pairs)
        # A chat for every single answer: nltk's own pick uses a generator shared by all calls.
        self._rules = tuple(
            tuple(
                cast(_Chat, util.Chat(((pattern, (answer,)),), util.reflections))
                for answer in answers
            )
            for pattern, answers in rules
        )
        self.answers("hello")
        return StageInfo(backend="eliza", languages=("en",))

    def answers(self, said: str) -> tuple[str, ...]:
        """Every answer that ELIZA may give to a message. Raises BadInput where it is blank."""
        # nltk substitutes "%1" in answers again and again: a caller's own "%" would never end.
        text = " ".join(said.replace("%", " percent ").split()).rstrip("!.")[:_LONGEST]
        if not text:
            raise BadInput("there is no user message to answer")
        for rule in self._rules:
            first = rule[0].respond(text)
            if first is not None:
                return (first, *(chat.respond(text) or "" for chat in rule[1:]))
        return ("Please tell me more.",)

    def answer(self, said: str) -> str:
        """The answer to a message: foretold with a seed, else any of `answers`."""
        pick = random.Random() if self._seed is None else random.Random(f"{self._seed} {said}")
        return pick.choice(self.answers(said))

    async def reply(self, request: ReplyRequest) -> AsyncIterator[TextDelta]:
        """The answer, a word at a time. Raises BadInput where no user message is to be answered."""
        said = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        for word in re.findall(r"\S+\s*", self.answer(said)):
            yield TextDelta(word)

    async def close(self) -> None:
        """Drop the rules."""
        self._rules = ()
