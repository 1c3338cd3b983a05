"""What is heard while the agent speaks and is no turn: a listener's nod, the agent's own echo.

Either leaves the reply to go on. The same words are a turn where the agent does not speak; and
one word, as it may be the answer, where there is little left of what he says.
"""

from __future__ import annotations

from serve_app.conversation.backchannel import Backchannels, split_words
from serve_app.conversation.echoed_words import is_echo, without_echo
from serve_app.conversation.finals import HeardTurn
from serve_app.conversation.playout import Playout
from serve_app.conversation.policy import TurnPolicy

_REMEMBERED = 8
"""Turns that may still wait for their transcripts; older ones were decided."""


class Asides:
    """Remembers over which reply each turn was begun."""

    def __init__(self, policy: TurnPolicy) -> None:
        self._words = policy.backchannels
        self._answer_ms = policy.answer_ms
        self._backchannels = Backchannels(self._words, policy.language)
        self._over: dict[int, Playout] = {}

    def set_language(self, language: str) -> None:
        """The call goes on in another language."""
        self._backchannels = Backchannels(self._words, language)

    def begin(self, turn_id: int, audible: Playout | None) -> None:
        """The caller begins to speak, over a reply or into silence."""
        if audible:
            self._over[turn_id] = audible
        self._over.pop(turn_id - _REMEMBERED, None)

    def heed(self, turn_id: int) -> None:
        """The client says that this is a turn, whatever its words."""
        self._over.pop(turn_id, None)

    def may_be(self, turn_id: int, text: str, live: Playout | None) -> bool:
        """Whether `text`, what a turn holds so far, is no reason yet to end the reply."""
        over = self._over.get(turn_id)
        if over is None or over is not live:
            return False
        return _is_echo(text, over) or any(map(self._backchannels.begin, _readings(text, over)))

    def include(self, turn: HeardTurn, live: Playout | None, now: float) -> bool:
        """Whether a whole turn is an aside: no turn, and no reason to end the reply."""
        over = self._over.get(turn.turn_id)
        if over is None:
            return False
        if over is not live or over.rest_ms(now) < self._answer_ms:
            return len(split_words(turn.text)) > 1 and _is_echo(turn.text, over)
        readings = _readings(turn.text, over)
        return _is_echo(turn.text, over) or any(map(self._backchannels.match, readings))


def _is_echo(text: str, over: Playout) -> bool:
    return is_echo(split_words(text), split_words(over.said_lately()))


def _readings(text: str, over: Playout) -> list[list[str]]:
    """What the caller may have said: all of it, or all but an echo."""
    heard = split_words(text)
    return [heard, *without_echo(heard, split_words(over.said_lately()))]
