"""The caller's turns: from voice frames and transcripts to complete turns, partials on the way."""

from __future__ import annotations

from dataclasses import replace

from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import Command, Tell
from serve_app.conversation.endpointing import Endpointer
from serve_app.conversation.finals import Final, Finals, HeardTurn
from serve_app.conversation.hush import Hush
from serve_app.conversation.open_turn import OpenTurn
from serve_app.conversation.partials import Partials
from serve_app.conversation.patience import pause_needed_ms
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.verdicts import Verdicts
from serve_app.conversation.windows import Windows

SHORTEST_MS = 100
"""Of a turn that the client ends."""


class Listening:
    """What the caller says. Appends commands to `out`; `take_complete` hands turns over."""

    def __init__(self, policy: TurnPolicy, out: list[Command]) -> None:
        self._policy = policy
        self._out = out
        self._endpointer = Endpointer(policy.endpointing)
        self._turn: OpenTurn | None = None
        self._finals = Finals(policy.stage_timeout_ms / 1000, out)
        self._windows = Windows(policy, out)
        self._turns = 0
        self._frame_at = 0.0
        self._heard_to_ms = 0
        self._hush = Hush()
        self._verdicts = Verdicts(out)
        self._detects = True
        self.endpoint_ms = policy.endpoint_ms
        self.prefix_ms = policy.prefix_ms
        self.room = True

    @property
    def undecided(self) -> bool:
        """A turn is open, or its transcript is still awaited."""
        return self._turn is not None or self._finals.awaited

    @property
    def awaited(self) -> bool:
        """A turn that was committed has no transcript yet."""
        return self._finals.awaited

    @property
    def turn_id(self) -> int | None:
        """Of the open turn; None without one. Later turns have higher ones."""
        return self._turn.turn_id if self._turn else None

    @property
    def speech_ms(self) -> int:
        """Length of the open turn's speech; 0 without one."""
        return self._endpointer.speech_ms if self._turn else 0

    @property
    def heard_ms(self) -> int:
        """How much of the call was heard: a drop is told before its frame is."""
        return max(self._endpointer.now_ms, self._hush.heard_ms)

    def hear(self, frame: ev.VoiceFrame, now: float) -> None:
        """Follow the voice: open the turn, ask for transcripts, commit at a long pause."""
        self._frame_at = now
        ear = self._endpointer
        ear.hear(frame)
        turn = self._turn
        if turn is None:
            if ear.speaking and self._detects:
                self._open(ear.start_ms or 0)
            return
        turn.hear(ear.voice_end_ms)
        if self._is_over(turn):
            self._commit(turn, now)
        elif ear.pause_ms >= self._policy.speculate_after_ms:
            self._expect_end(turn, now)
        elif ear.speech_ms >= turn.partials.next_ms:
            self._ask_partial(turn)
        elif self._policy.incremental_stt:
            self._look_ahead(turn, now)

    def dropped(self, event: ev.LevelDropped, now: float) -> None:
        """The level fell: this may be the end of the turn, as the voice will show."""
        self._hush.begin(event.at_ms, event.heard_ms)
        if self._turn:
            self._look_ahead(self._turn, now)

    def rose(self, event: ev.LevelRose) -> None:
        """It was not, unless the voice has ended: then it is a noise."""
        self._hush.end(event.at_ms)
        turn = self._turn
        if turn and turn.final and not turn.candidate_ms:
            turn.drop_final()

    def consider(self, now: float) -> None:
        """Commit the turn if, by what is now known of its pause, that was long enough."""
        if self._turn and self._is_over(self._turn):
            self._commit(self._turn, now)

    def judged(self, event: ev.PauseJudged) -> None:
        """Somebody listened to the turn up to a pause."""
        self._verdicts.judged(event)

    def ask_partial_now(self) -> None:
        """Words decide an interruption: do not wait for the next partial's time."""
        if self._turn and self._turn.final is None:
            self._ask_partial(self._turn)

    def commit_now(self, now: float) -> None:
        """The client ends the turn."""
        if not self._detects:
            self._open_unheard()
        if self._turn:
            self._commit(self._turn, now)
        else:
            self._out.append(Tell(say.CallError("nothing_to_commit", "no speech was heard")))

    def clear(self) -> None:
        """What was heard since the last turn is forgotten."""
        self._turn = None
        self._endpointer.close()
        self._heard_to_ms = self._endpointer.now_ms

    def detect(self, on: bool) -> None:
        """Whether the voice opens and ends turns, or the client alone ends them."""
        if on != self._detects:
            self._detects = on
            self._turn = None
            self._endpointer.close()

    def set_voice_probability(self, probability: float) -> None:
        """What counts as voice, for all that is heard from now on."""
        self._endpointer.set_voice_probability(probability)

    def transcribed(self, event: ev.TranscriptReady, now: float) -> str:
        """Take in a transcript: the words it shows in the turn that is open."""
        self.room = event.room
        transcript = replace(event.transcript, text=event.transcript.text.strip())
        turn = self._turn
        if self._finals.transcribed(event.window_id, transcript, now) or turn is None:
            return ""
        partials = turn.partials
        if event.window_id == partials.awaited:
            partials.awaited = None
            if turn.final is None or turn.final.transcript is None:
                turn.words, turn.words_to_ms = transcript.text, partials.heard_to_ms
            if agreed := partials.show(transcript, self._endpointer.now_ms):
                self._out.append(Tell(say.PartialTranscript(agreed, transcript.confidence)))
            return transcript.text
        if turn.final and event.window_id == turn.final.window_id:
            turn.final.settle(transcript, now)
            turn.words, turn.words_to_ms = transcript.text, turn.final.end_ms
            return transcript.text
        return ""

    def failed(self, event: ev.TranscriptFailed) -> None:
        """A transcript will not come: the turn it ended is lost, and the client is told."""
        if not self._finals.failed(event) and self._turn:
            self._turn.failed(event.window_id)

    def take_complete(self) -> list[HeardTurn]:
        """The turns that became complete since the last call; those without words are left out."""
        return self._finals.take_complete()

    def guess(self) -> HeardTurn | None:
        """The turn to come: one that waits for its transcript, or the open one if it ended now.

        None where there is no such turn, or it is too long or too often revised.
        """
        turn = self._turn
        if turn is None or self._finals.awaited:
            return self._finals.guess()
        ear, policy = self._endpointer, self._policy
        if not turn.candidate_ms:
            paused = self._hush.lasts(ear.voice_end_ms)
        else:  # A sound in the pause may be voice: that begins no reply, but drops none yet.
            paused = turn.answered_ms == turn.candidate_ms or not self._hush.just_ended(ear.now_ms)
        if not turn.words or not paused or turn.words_to_ms < self._spoken_to_ms:
            return None
        most = policy.max_revisions + ear.speech_ms // policy.revision_every_ms
        if turn.revisions >= most or ear.speech_ms > policy.max_speculated_ms:
            return None
        turn.answered_ms = turn.candidate_ms
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

    def _open(self, start_ms: int) -> None:
        # Never reaches into the turn before: its last words would be transcribed twice.
        window_start_ms = max(self._heard_to_ms, start_ms - self.prefix_ms)
        self._turns += 1
        partials = Partials(self._policy, window_start_ms)
        self._turn = OpenTurn(self._turns, start_ms, window_start_ms, partials)
        self._out.append(Tell(say.SpeechStarted(start_ms)))

    def _open_unheard(self) -> None:
        """All since the last turn is one, voice or not, as far as it is kept."""
        ear = self._endpointer
        start_ms = max(self._heard_to_ms, ear.now_ms - self._policy.max_turn_ms)
        if ear.now_ms - start_ms < SHORTEST_MS:
            return
        self._turns += 1
        self._turn = OpenTurn(self._turns, start_ms, start_ms, Partials(self._policy, start_ms))
        ear.voice_end_ms = ear.now_ms

    def _is_over(self, turn: OpenTurn) -> bool:
        """Its pause is long enough for it, or it became too long."""
        ear = self._endpointer
        if ear.now_ms - turn.speech_start_ms >= self._policy.max_turn_ms:
            return True
        # Or the very frame in which the caller goes on would be the one that makes it long enough.
        if ear.pause_ms < self.endpoint_ms or ear.resuming:
            return False
        return ear.pause_ms >= pause_needed_ms(
            self._policy,
            self.endpoint_ms,
            turn.words,
            settled=self._is_settled(turn),
            probability=self._verdicts.of(ear.voice_end_ms),
        )

    @property
    def _spoken_to_ms(self) -> int:
        """Where the open turn's speech ended, as far as can be known now."""
        return self._hush.spoken_to_ms(self._endpointer.voice_end_ms)

    def _is_settled(self, turn: OpenTurn) -> bool:
        """All that was said up to the pause was transcribed, or will not be before the commit."""
        if self._policy.incremental_stt:
            return turn.partials.awaited is None and turn.partials.to_ms >= self._spoken_to_ms
        transcribed = turn.final is None or turn.final.transcript is not None
        return transcribed and turn.candidate_ms >= self._endpointer.voice_end_ms

    def _expect_end(self, turn: OpenTurn, now: float) -> None:
        """A pause that may be the end: have what decides it ready by the time it is."""
        now_ms, voice_end_ms = self._endpointer.now_ms, self._endpointer.voice_end_ms
        if self._policy.judged_pauses:
            self._verdicts.ask(voice_end_ms, turn.window_start_ms, now_ms)
        # Once a pause: should it fail, the commit asks again.
        fresh, turn.candidate_ms = turn.candidate_ms < voice_end_ms, voice_end_ms
        if self._policy.incremental_stt:
            if turn.partials.to_ms < self._spoken_to_ms:
                self._ask_partial(turn)
        elif fresh:
            turn.final = turn.covering(self._spoken_to_ms) or self._ask_final(turn, now)

    def _look_ahead(self, turn: OpenTurn, now: float) -> None:
        """In a quiet that may be the end, have a transcript ready before the pause is one."""
        ear, policy = self._endpointer, self._policy
        often = turn.early_asks * policy.early_every_ms >= ear.speech_ms
        long = ear.speech_ms > policy.max_speculated_ms
        if policy.speculation == "off" or not self.room or often or long or turn.candidate_ms:
            return
        partials = turn.partials
        asked = turn.final or (policy.incremental_stt and partials.to_ms >= self._hush.at_ms)
        busy = policy.incremental_stt and partials.awaited is not None
        if asked or busy or not self._hush.lasts(ear.voice_end_ms):
            return
        turn.early_asks += 1
        if policy.incremental_stt:
            self._ask_partial(turn)
        else:
            turn.final = self._ask_final(turn, now)
            partials.next_ms = ear.speech_ms + policy.partial_every_ms

    def _commit(self, turn: OpenTurn, now: float) -> None:
        ear = self._endpointer
        guess = self.guess()
        final = turn.covering(self._spoken_to_ms) or self._ask_final(turn, now)
        final.guess = guess
        self._heard_to_ms = final.end_ms
        self._out.append(Tell(say.SpeechStopped(ear.voice_end_ms)))
        speech_ms, pause_ms = (turn.speech_start_ms, ear.voice_end_ms), ear.pause_ms
        self._turn = None
        ear.close()
        self._finals.commit(final, speech_ms, pause_ms, now)

    def _ask_final(self, turn: OpenTurn, now: float) -> Final:
        return self._windows.ask_final(turn, self._spoken_to_ms, self.heard_ms, now)

    def _ask_partial(self, turn: OpenTurn) -> None:
        self._windows.ask_partial(turn, self._endpointer.speech_ms, self.heard_ms)
