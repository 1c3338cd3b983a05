"""What a call does, by its number: the same number does the same in every run. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from clients.voice_client import Codec

Kind: TypeAlias = Literal["speak", "interrupt", "type", "keep silent", "lose connection"]
Ending: TypeAlias = Literal["says goodbye", "hangs up mid-reply"]


@dataclass(frozen=True, slots=True)
class Line:
    """How the audio goes: `codec` up at `rate` Hz, `reply` down."""

    codec: Codec
    rate: int
    reply: Codec

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.codec} {self.rate // 1000} kHz, {self.reply} back"


LINES: Final = (
    Line("pcm16", 16_000, "pcm16"),
    Line("opus", 48_000, "opus"),
    Line("pcm16", 8_000, "pcm16"),
    Line("opus", 16_000, "pcm16"),
    Line("pcm16", 24_000, "opus"),
    Line("opus", 24_000, "opus"),
    Line("pcm16", 48_000, "pcm16"),
)

EXCHANGES: Final[tuple[tuple[Kind, ...], ...]] = (
    ("speak", "interrupt"),
    ("type", "keep silent", "speak"),
    ("speak", "lose connection", "type"),
    ("interrupt", "speak"),
    ("keep silent", "type", "interrupt"),
)
MID_REPLY_EVERY: Final = 3
SILENCE_S: Final = (1.5, 4.0)
LEAD_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a caller does. `wait_s` of silence come first; `sentence` is an index."""

    kind: Kind
    wait_s: float
    sentence: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One call."""

    number: int
    line: Line
    steps: tuple[Step, ...]
    ending: Ending


def plan_of(number: int, sentences: int, *, may_lose_connection: bool = True) -> Plan:
    """The call of this number. The numbers of a test run through all lines and exchanges.

    Where callers begin together, `wait_s` keeps them from speaking together.
    """
    rng = random.Random(f"parley {number}")
    kinds: list[Kind] = [
        kind
        for kind in EXCHANGES[number % len(EXCHANGES)]
        if may_lose_connection or kind != "lose connection"
    ]
    steps = [
        Step(
            kind,
            rng.uniform(*SILENCE_S) if kind == "keep silent" else rng.uniform(0.2, LEAD_S),
            rng.randrange(sentences),
        )
        for kind in kinds
    ]
    ending: Ending = "hangs up mid-reply" if number % MID_REPLY_EVERY == 1 else "says goodbye"
    return Plan(number, LINES[number % len(LINES)], tuple(steps), ending)
