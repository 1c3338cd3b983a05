"""What was judged of the sound before a pause: asked for once a pause, void once another is."""

from __future__ import annotations

from serve_app.conversation.commands import Command, JudgePause
from serve_app.conversation.events import PauseJudged

JUDGED_MS = 8_000
"""As much of a turn as is judged by its sound."""


class Verdicts:
    """One call's. A pause is known by where its voice ended, in ms of the call's audio."""

    def __init__(self, out: list[Command]) -> None:
        self._out = out
        self._pause_id = 0
        self._voice_end_ms: int | None = None
        self._probability: float | None = None

    def ask(self, voice_end_ms: int, turn_start_ms: int, now_ms: int) -> None:
        """Have the pause judged, unless it was asked for."""
        if voice_end_ms == self._voice_end_ms:
            return
        self._pause_id += 1
        self._voice_end_ms, self._probability = voice_end_ms, None
        self._out.append(JudgePause(self._pause_id, max(turn_start_ms, now_ms - JUDGED_MS), now_ms))

    def judged(self, event: PauseJudged) -> None:
        """Somebody listened."""
        if event.pause_id == self._pause_id:
            self._probability = event.probability

    def of(self, voice_end_ms: int) -> float | None:
        """How likely the turn is complete; None where nobody knows yet."""
        return self._probability if voice_end_ms == self._voice_end_ms else None
