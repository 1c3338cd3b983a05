"""Whether the caller is still there: how long a call lasts, and how long a silence in it."""

from __future__ import annotations

from serve_app.conversation.policy import TurnPolicy

WORDLESS = "..."
"""What the history has of a silence that is answered: in no language, and no words to a model."""


class Presence:
    """A call's time. A silence is one since a reply was played: without a reply there is none."""

    def __init__(self, policy: TurnPolicy, now: float) -> None:
        self._idle_s = policy.idle_ms / 1000
        self._longest_s = policy.max_call_ms / 1000
        self._began_at = now
        self._active_at = now
        self._silent_from: tuple[float, int] | None = None
        self.answer_after_ms = 0
        """How long a silence is answered after; 0: none is."""
        self.silence_reply: str | None = None
        """The last reply to one."""

    def lasted_s(self, now: float) -> float:
        """How long the call has lasted."""
        return now - self._began_at

    def lasted_before(self, seconds: float) -> None:
        """It lasted so long elsewhere."""
        self._began_at -= seconds

    def heard_words(self, now: float) -> None:
        """The caller said something."""
        self._active_at = now

    def busy(self, replies: set[str], heard_ms: int, now: float) -> None:
        """Somebody speaks, or may: a silence is counted from here. `heard_ms`: the call's audio.

        Replies to a silence do not keep a call alive that nobody is in.
        """
        if replies or self._silent_from:
            self._silent_from = now, heard_ms
        if replies - {self.silence_reply}:
            self._active_at = now

    def deadline(self, *, busy: bool) -> float:
        """When `expired` or `silence` has something to say."""
        ends_at = self._began_at + self._longest_s
        if busy:
            return ends_at
        return min(ends_at, self._active_at + self._idle_s, self._silence_at() or ends_at)

    def expired(self, now: float, *, busy: bool) -> str | None:
        """Why the call is to end now."""
        if now >= self._began_at + self._longest_s:
            return "the call reached its longest allowed length"
        if not busy and now >= self._active_at + self._idle_s:
            return "the caller was silent for too long"
        return None

    def silence(self, heard_ms: int, now: float) -> tuple[int, int] | None:
        """Start and end, in ms of the call's audio, of a silence that is to be answered now.

        A caller of whom no audio comes is not silent but away: the wait begins again.
        """
        due = self._silence_at()
        if self._silent_from is None or due is None or now < due:
            return None
        _, start_ms = self._silent_from
        self._silent_from = now, heard_ms
        return (start_ms, heard_ms) if heard_ms > start_ms else None

    def _silence_at(self) -> float | None:
        if not self.answer_after_ms or self._silent_from is None:
            return None
        return self._silent_from[0] + self.answer_after_ms / 1000
