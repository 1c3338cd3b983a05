"""The windows of speech that a recogniser is asked for: a number each, and where it ends."""

from __future__ import annotations

from itertools import count

from serve_app.conversation.commands import Command, Transcribe
from serve_app.conversation.finals import Final
from serve_app.conversation.open_turn import OpenTurn
from serve_app.conversation.policy import TurnPolicy


class Windows:
    """Appends to `out`. Times are ms of the call's audio; `heard_ms` is how much there is."""

    def __init__(self, policy: TurnPolicy, out: list[Command]) -> None:
        self._policy = policy
        self._out = out
        self._ids = count(1)

    def ask_final(self, turn: OpenTurn, spoken_to_ms: int, heard_ms: int, now: float) -> Final:
        """The whole turn, which was spoken until `spoken_to_ms`."""
        window_id, start_ms, end_ms = next(self._ids), turn.window_start_ms, heard_ms
        if self._policy.incremental_stt and turn.partials.to_ms > spoken_to_ms:
            # All speech was fed at the pause: decoding the rest of it would only take time.
            end_ms = turn.partials.to_ms
        final = Final(turn.turn_id, window_id, start_ms, end_ms, now)
        self._out.append(Transcribe(window_id, turn.turn_id, start_ms, end_ms, final=True))
        return final

    def ask_partial(self, turn: OpenTurn, speech_ms: int, heard_ms: int) -> None:
        """The turn so far, of which `speech_ms` are speech, if a partial may be asked for now."""
        partials = turn.partials
        partials.next_ms = speech_ms + self._policy.partial_every_ms
        if not partials.may_ask(heard_ms):
            return
        window = next(self._ids)
        partials.ask(window, heard_ms)
        start_ms = partials.start_ms
        self._out.append(Transcribe(window, turn.turn_id, start_ms, heard_ms, final=False))
