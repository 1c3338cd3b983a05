"""One turn's partial transcripts: which is awaited, when the next is due, what they may show."""

from __future__ import annotations

from deployments.contracts import Transcript
from serve_app.conversation.agreement import Agreement, end_ms_of
from serve_app.conversation.policy import TurnPolicy


class Partials:
    """Not reused: a new turn takes a new one. Times are ms of the call's audio."""

    def __init__(self, policy: TurnPolicy, start_ms: int) -> None:
        self._policy = policy
        self._turn_start_ms = start_ms
        self._shown = False
        self._agreement = Agreement()
        self.start_ms = start_ms
        """Where the next window starts."""
        self.awaited: int | None = None
        """The window that is being transcribed."""
        self.to_ms = 0
        """The end of the last window asked for."""
        self.next_ms = policy.partial_every_ms
        """Length of speech at which the next is due."""

    @property
    def heard_to_ms(self) -> int:
        """To where the last window holds the turn from its start; 0 if it begins later."""
        return self.to_ms if self.start_ms == self._turn_start_ms else 0

    def may_ask(self, to_ms: int) -> bool:
        """Whether a window that ends there may be asked for now."""
        too_long = to_ms - self.start_ms > self._policy.partial_window_ms
        return self.awaited is None and (self._policy.incremental_stt or not too_long)

    def ask(self, window_id: int, to_ms: int) -> None:
        """This window is asked for."""
        self.awaited, self.to_ms = window_id, to_ms

    def adopt(self, window_id: int, to_ms: int) -> None:
        """The window of a final that is none after all may show what it holds."""
        if self.awaited is None and self.start_ms == self._turn_start_ms:
            self.ask(window_id, to_ms)

    def show(self, transcript: Transcript, now_ms: int) -> str:
        """What a transcript adds to the text that was shown; empty where it is nothing."""
        joint = " " if self._shown and not self._agreement.text else ""
        agreed = self._agreement.update(transcript.text)
        self._shown = self._shown or agreed != ""
        long = now_ms - self.start_ms > self._policy.partial_window_ms * 2 // 3
        agreed_end_ms = end_ms_of(self._agreement.text, transcript.words)
        if long and agreed_end_ms and not self._policy.incremental_stt:
            # The next windows start at the last agreed word, so a long turn stays cheap.
            self.start_ms += agreed_end_ms
            self._agreement = Agreement()
        return joint + agreed if agreed else ""
