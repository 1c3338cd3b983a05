"""What a call takes of a card's time: the bound if the stages on it take turns, as processes do."""

from __future__ import annotations

from dataclasses import dataclass

from bench.capacity.assumptions import FIGURES, REPLY_S, TURN_S
from deployments.schedule import Pace

BUSY = 0.7
"""Of a card's time; beyond it queues grow fast."""
PHRASES = 3.5
"""Of a reply, cut short while others wait: each pays its first audio anew."""
REPLY_BATCH = 4.0
"""Replies that a step of the model serves at once, on a card with a dozen calls or more."""


@dataclass(frozen=True, slots=True)
class CardTime:
    """Seconds of a card that a second of a call takes, by stage."""

    voice: float
    model: float
    recogniser: float

    @property
    def total(self) -> float:
        """Of all stages."""
        return self.voice + self.model + self.recogniser

    @property
    def calls(self) -> float:
        """That keep the card busy for BUSY of the time."""
        return BUSY / self.total


def card_time(pace: Pace, *, speculation: bool = False, partials: bool = True) -> CardTime:
    """Of one call. With speculation every reply that is begun is counted as written whole."""
    begun = FIGURES["begun"].value if speculation else 1.0
    windows = 1.0 + (FIGURES["partials"].value if partials else 0.0)
    written_s = FIGURES["tokens"].value * FIGURES["step"].value / REPLY_BATCH
    return CardTime(
        voice=(PHRASES * pace.first_audio_s + REPLY_S * pace.real_time_factor) / TURN_S,
        model=begun * (FIGURES["prompt"].value + written_s) / TURN_S,
        recogniser=windows * FIGURES["window"].value / TURN_S,
    )
