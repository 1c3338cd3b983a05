"""Cuts a conversation to a budget of tokens. Pure: how to count them is an argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from deployments.contracts import BadInput, Message

TURNS_AT_ONCE = 4
"""Turns are forgotten this many at a time: between two cuts the prompt begins as it did before,
so a prefix cache serves all of it but the newest turn."""

CHARS_PER_TOKEN = 4
"""English text in the tokenizers of the field has 4 to 5 characters a token; each character of
a script beyond Latin may be a token of its own."""

MESSAGE_TOKENS = 8
"""What a chat format adds to a message: its role and its ends."""


def within_budget(
    messages: Sequence[Message], budget: int, count: Callable[[Message], int]
) -> tuple[Message, ...]:
    """The messages that fit `budget` tokens: the oldest turns go first, and only whole ones.

    System messages and the newest turn, the last user message and all that follows it, are
    always kept. Raises BadInput where these alone do not fit.
    """
    system = [message for message in messages if message.role == "system"]
    turns = _turns([message for message in messages if message.role != "system"])
    costs = [sum(map(count, turn)) for turn in turns]
    room = budget - sum(map(count, system))
    total, dropped = sum(costs), 0
    while total > room and dropped < len(turns) - 1:
        block = costs[dropped : min(dropped + TURNS_AT_ONCE, len(turns) - 1)]
        total -= sum(block)
        dropped += len(block)
    if total > room:
        raise BadInput(
            f"the instructions and the last turn are {total - room + budget} tokens long, "
            f"and {budget} fit"
        )
    return (*system, *(message for turn in turns[dropped:] for message in turn))


def estimated_tokens(message: Message) -> int:
    """About how many tokens a message is, for models whose tokenizer is not at hand."""
    text = message.content + "".join(call.name + call.arguments_json for call in message.tool_calls)
    latin = sum(character < "\u0250" for character in text)
    return MESSAGE_TOKENS + -(-latin // CHARS_PER_TOKEN) + len(text) - latin


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    """A turn begins with what the user says; what comes before the first is one too."""
    begun = 0

    def turn_of(message: Message) -> int:
        nonlocal begun
        begun += message.role == "user"
        return begun

    return [list(turn) for _, turn in groupby(messages, turn_of)]
