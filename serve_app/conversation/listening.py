"""The caller's turns: from voice frames and transcripts to complete turns, partials on the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from deployments.contracts import Transcript
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.agreement import Agreement, end_ms_of
from serve_app.conversation.commands import Command, JudgePause, Tell, Transcribe
from serve_app.conversation.endpointing import Endpointer
from serve_app.conversation.finals import Final, Finals, HeardTurn
from serve_app.conversation.patience import pause_needed_ms
from serve_app.conversation.policy import TurnPolicy

JUDGED_MS = 8_000
"""As much of a turn as is judged by its sound."""


@dataclass(slots=True)
class _Pause:
    """A pause that may be the end, by where its voice ended, and what was judged of it."""

    pause_id: int
    voice_end_ms: int
    probability: float | None = None


@dataclass(slots=True)
class _Turn:
    turn_id: int
    speech_start_ms: int
    window_start_ms: int
    partial_start_ms: int
    partial_id: int | None = None
    next_partial_ms: int = 0
    fed_to_ms: int = 0
    candidate_ms: int = 0
    final: Final | None = None
    pause: _Pause | None = None
    words: str = ""
    words_to_ms: int = 0
    revisions: int = 0
    shown: bool = False
    agreement: Agreement = field(default_factory=Agreement)


class Listening:
    """What the caller says. Appends commands to `out`; `take_complete` hands turns over."""

    def __init__(self, policy: TurnPolicy, out: list[Command]) -> None:
        self._policy = policy
        self._out = out
        self._endpointer = Endpointer(policy.endpointing)
        self._turn: _Turn | None = None
        self._finals = Finals(policy.stage_timeout_ms / 1000, out)
        self._windows = 0
        self._pauses = 0
        self._turns = 0
        self._frame_at = 0.0
        self._heard_to_ms = 0
        self.endpoint_ms = policy.endpoint_ms

    @property
    def undecided(self) -> bool:
        """A turn is open, or its transcript is still awaited."""
        return self._turn is not None or self._finals.awaited

    @property
    def turn_id(self) -> int | None:
        """Of the open turn; None without one. Later turns have higher ones."""
        return self._turn.turn_id if self._turn else None

    @property
    def speech_ms(self) -> int:
        """Length of the open turn's speech; 0 without one."""
        return self._endpointer.speech_ms if self._turn else 0

    def hear(self, frame: ev.VoiceFrame, now: float) -> None:
        """Follow the voice: open the turn, ask for transcripts, commit at a long pause."""
        self._frame_at = now
        ear = self._endpointer
        ear.hear(frame)
        turn = self._turn
        if turn is None:
            if ear.speaking:
                self._open()
            return
        if turn.candidate_ms and ear.voice_end_ms > turn.candidate_ms:
            turn.candidate_ms = 0
            turn.final = None
            turn.revisions += 1
        if self._is_over(turn):
            self._commit(turn, now)
        elif ear.pause_ms >= self._policy.speculate_after_ms:
            self._expect_end(turn, now)
        elif ear.speech_ms >= turn.next_partial_ms:
            self._ask_partial(turn)

    def consider(self, now: float) -> None:
        """Commit the turn if, by what is now known of its pause, that was long enough."""
        if self._turn and self._is_over(self._turn):
            self._commit(self._turn, now)

    def judged(self, event: ev.PauseJudged) -> None:
        """Somebody listened to the turn up to a pause."""
        pause = self._turn.pause if self._turn else None
        if pause and pause.pause_id == event.pause_id:
            pause.probability = event.probability

    def ask_partial_now(self) -> None:
        """Words decide an interruption: do not wait for the next partial's time."""
        if self._turn and self._turn.final is None:
            self._ask_partial(self._turn)

    def commit_now(self, now: float) -> None:
        """The client ends the turn."""
        if self._turn:
            self._commit(self._turn, now)
        else:
            self._out.append(Tell(say.CallError("nothing_to_commit", "no speech was heard")))

    def transcribed(self, event: ev.TranscriptReady, now: float) -> str:
        """Take in a transcript: the words it shows in the turn that is open."""
        transcript = replace(event.transcript, text=event.transcript.text.strip())
        turn = self._turn
        if self._finals.transcribed(event.window_id, transcript, now) or turn is None:
            return ""
        if event.window_id == turn.partial_id:
            turn.partial_id = None
            if turn.final is None or turn.final.transcript is None:
                whole = turn.partial_start_ms == turn.window_start_ms
                turn.words, turn.words_to_ms = transcript.text, turn.fed_to_ms if whole else 0
            self._show_partial(turn, transcript)
            return transcript.text
        if turn.final and event.window_id == turn.final.window_id:
            turn.final.settle(transcript, now)
            turn.words, turn.words_to_ms = transcript.text, turn.final.end_ms
            return transcript.text
        return ""

    def failed(self, event: ev.TranscriptFailed) -> None:
        """A transcript will not come: the turn it ended is lost, and the client is told."""
        turn = self._turn
        if self._finals.failed(event):
            return
        if turn and event.window_id == turn.partial_id:
            turn.partial_id = None
        elif turn and turn.final and event.window_id == turn.final.window_id:
            turn.final = None

    def take_complete(self) -> list[HeardTurn]:
        """The turns that became complete since the last call; those without words are left out."""
        return self._finals.take_complete()

    def guess(self) -> HeardTurn | None:
        """The turn to come: one that waits for its transcript, or the open one if its present
        pause ended it. None where there is no such turn, or it is too long or too often revised.
        """
        turn = self._turn
        if turn is None or self._finals.awaited:
            return self._finals.guess()
        ear, policy = self._endpointer, self._policy
        if not turn.words or not turn.candidate_ms or turn.words_to_ms < ear.voice_end_ms:
            return None
        if turn.revisions >= policy.max_revisions or ear.speech_ms > policy.max_speculated_ms:
            return None
        return HeardTurn(turn.turn_id, turn.words, 0.0, 0.0, 0.0)

    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        overdue = self._finals.deadline()
        if self._turn is None:
            return overdue
        stalled = self._frame_at + self._policy.uplink_stall_ms / 1000
        return stalled if overdue is None else min(stalled, overdue)

    def tick(self, now: float) -> None:
        """Commit a turn whose audio stopped coming; give up on transcripts that are overdue."""
        if self._turn and now >= self._frame_at + self._policy.uplink_stall_ms / 1000:
            self._commit(self._turn, now)
        self._finals.tick(now)

    def _open(self) -> None:
        start_ms = self._endpointer.start_ms or 0
        # Never reaches into the turn before: its last words would be transcribed twice.
        window_start_ms = max(self._heard_to_ms, start_ms - self._policy.prefix_ms)
        self._turns += 1
        self._turn = _Turn(self._turns, start_ms, window_start_ms, window_start_ms)
        self._turn.next_partial_ms = self._policy.partial_every_ms
        self._out.append(Tell(say.SpeechStarted(start_ms)))

    def _is_over(self, turn: _Turn) -> bool:
        """Its pause is long enough for it, or it became too long."""
        ear = self._endpointer
        if ear.now_ms - turn.speech_start_ms >= self._policy.max_turn_ms:
            return True
        if ear.pause_ms < self.endpoint_ms:
            return False
        judged = turn.pause is not None and turn.pause.voice_end_ms == ear.voice_end_ms
        return ear.pause_ms >= pause_needed_ms(
            self._policy,
            self.endpoint_ms,
            turn.words,
            settled=self._is_settled(turn),
            probability=turn.pause.probability if turn.pause and judged else None,
        )

    def _is_settled(self, turn: _Turn) -> bool:
        """All that was said up to the pause was transcribed, or will not be before the commit."""
        voice_end_ms = self._endpointer.voice_end_ms
        if self._policy.incremental_stt:
            return turn.partial_id is None and turn.fed_to_ms >= voice_end_ms
        transcribed = turn.final is None or turn.final.transcript is not None
        return transcribed and turn.candidate_ms >= voice_end_ms

    def _ask_verdict(self, turn: _Turn) -> None:
        ear = self._endpointer
        if turn.pause and turn.pause.voice_end_ms == ear.voice_end_ms:
            return
        self._pauses += 1
        turn.pause = _Pause(self._pauses, ear.voice_end_ms)
        start_ms = max(turn.window_start_ms, ear.now_ms - JUDGED_MS)
        self._out.append(JudgePause(self._pauses, start_ms, ear.now_ms))

    def _expect_end(self, turn: _Turn, now: float) -> None:
        """A pause that may be the end: have what decides it ready by the time it is."""
        if self._policy.judged_pauses:
            self._ask_verdict(turn)
        voice_end_ms = self._endpointer.voice_end_ms
        # Once a pause: should it fail, the commit asks again.
        fresh, turn.candidate_ms = turn.candidate_ms < voice_end_ms, voice_end_ms
        if not self._policy.incremental_stt:
            if fresh:
                turn.final = self._ask_final(turn, now)
        elif turn.fed_to_ms < voice_end_ms:
            self._ask_partial(turn)

    def _commit(self, turn: _Turn, now: float) -> None:
        ear = self._endpointer
        guess = self.guess()
        final = turn.final or self._ask_final(turn, now)
        final.guess = guess
        self._heard_to_ms = final.end_ms
        self._out.append(Tell(say.SpeechStopped(ear.voice_end_ms)))
        pause_ms = ear.pause_ms
        self._turn = None
        ear.close()
        self._finals.commit(final, turn.speech_start_ms, pause_ms, now)

    def _ask_final(self, turn: _Turn, now: float) -> Final:
        ear = self._endpointer
        window_id, start_ms, end_ms = self._next_window(), turn.window_start_ms, ear.now_ms
        if self._policy.incremental_stt and turn.fed_to_ms > ear.voice_end_ms:
            # All speech was fed at the pause: decoding the rest of it would only take time.
            end_ms = turn.fed_to_ms
        final = Final(turn.turn_id, window_id, start_ms, end_ms, ear.voice_end_ms, now)
        self._out.append(Transcribe(window_id, turn.turn_id, start_ms, end_ms, final=True))
        return final

    def _ask_partial(self, turn: _Turn) -> None:
        ear = self._endpointer
        turn.next_partial_ms = ear.speech_ms + self._policy.partial_every_ms
        window_ms = ear.now_ms - turn.partial_start_ms
        too_long = window_ms > self._policy.partial_window_ms and not self._policy.incremental_stt
        if turn.partial_id is not None or too_long:
            return
        turn.partial_id = self._next_window()
        turn.fed_to_ms = ear.now_ms
        self._out.append(
            Transcribe(
                turn.partial_id, turn.turn_id, turn.partial_start_ms, ear.now_ms, final=False
            )
        )

    def _show_partial(self, turn: _Turn, transcript: Transcript) -> None:
        joint = " " if turn.shown and not turn.agreement.text else ""
        agreed = turn.agreement.update(transcript.text)
        if agreed:
            self._out.append(Tell(say.PartialTranscript(joint + agreed)))
            turn.shown = True
        window_ms = self._endpointer.now_ms - turn.partial_start_ms
        long = window_ms > self._policy.partial_window_ms * 2 // 3
        agreed_end_ms = end_ms_of(turn.agreement.text, transcript.words)
        if long and agreed_end_ms and not self._policy.incremental_stt:
            # The next windows start at the last agreed word, so a long turn stays cheap.
            turn.partial_start_ms += agreed_end_ms
            turn.agreement = Agreement()

    def _next_window(self) -> int:
        self._windows += 1
        return self._windows
