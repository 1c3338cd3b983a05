"""What is known of a turn while the caller speaks."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.conversation.finals import Final
from serve_app.conversation.partials import Partials


@dataclass(slots=True)
class OpenTurn:
    """Times in ms of the call's audio."""

    turn_id: int
    speech_start_ms: int
    window_start_ms: int
    partials: Partials
    candidate_ms: int = 0
    final: Final | None = None
    words: str = ""
    words_to_ms: int = 0
    answered_ms: int = 0
    revisions: int = 0
    early_asks: int = 0
