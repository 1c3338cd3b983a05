"""The caller's turns: from voice frames and transcripts to complete turns, partials on the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from deployments.contracts import Transcript, Word
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.agreement import Agreement
from serve_app.conversation.commands import Command, Tell, Transcribe
from serve_app.conversation.endpointing import Endpointer
from serve_app.conversation.policy import TurnPolicy


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """A turn and its final transcript. `window_id` tells revisions of one turn apart."""

    window_id: int
    text: str
    committed_at: float
    pause_ms: float
    stt_ms: float


@dataclass(slots=True)
class _Final:
    """A final transcript, asked for at a pause or at the commit."""

    window_id: int
    start_ms: int
    end_ms: int
    speech_end_ms: int
    asked_at: float
    transcript: Transcript | None = None
    stt_ms: float = 0.0


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
    final: _Final | None = None
    revisions: int = 0
    shown: bool = False
    agreement: Agreement = field(default_factory=Agreement)


@dataclass(slots=True)
class _Committed:
    final: _Final
    at: float
    pause_ms: float
    speech_start_ms: int


class Listening:
    """What the caller says. Appends commands to `out`; `take_complete` hands turns over."""

    def __init__(self, policy: TurnPolicy, out: list[Command]) -> None:
        self._policy = policy
        self._out = out
        self._endpointer = Endpointer(policy.endpointing)
        self._turn: _Turn | None = None
        self._committed: dict[int, _Committed] = {}
        self._complete: list[HeardTurn] = []
        self._windows = 0
        self._turns = 0
        self._frame_at = 0.0
        self._heard_to_ms = 0
        self.endpoint_ms = policy.endpoint_ms

    @property
    def undecided(self) -> bool:
        """A turn is open, or its transcript is still awaited."""
        return self._turn is not None or bool(self._committed)

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
        if turn.final and ear.voice_end_ms > turn.final.speech_end_ms:
            turn.final = None
            turn.revisions += 1
        if ear.pause_ms >= self.endpoint_ms or self._too_long(turn):
            self._commit(turn, now)
        elif ear.pause_ms >= self._policy.speculate_after_ms:
            self._expect_end(turn, now)
        elif ear.speech_ms >= turn.next_partial_ms:
            self._ask_partial(turn)

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

    def transcribed(self, event: ev.TranscriptReady, now: float) -> bool:
        """Take in a transcript. True if it shows words in the turn that is open."""
        transcript = replace(event.transcript, text=event.transcript.text.strip())
        turn = self._turn
        committed = self._committed.get(event.window_id)
        if committed:
            _settle(committed.final, transcript, now)
            self._finish_in_order()
            return False
        if turn is None:
            return False
        if event.window_id == turn.partial_id:
            turn.partial_id = None
            self._show_partial(turn, transcript)
            return bool(transcript.text)
        if turn.final and event.window_id == turn.final.window_id:
            _settle(turn.final, transcript, now)
            return bool(transcript.text)
        return False

    def failed(self, event: ev.TranscriptFailed) -> None:
        """A transcript will not come: the turn it ended is lost, and the client is told."""
        turn = self._turn
        if self._committed.pop(event.window_id, None):
            self._out.append(Tell(say.CallError(event.code, event.message)))
            self._finish_in_order()
        elif turn and event.window_id == turn.partial_id:
            turn.partial_id = None
        elif turn and turn.final and event.window_id == turn.final.window_id:
            turn.final = None

    def take_complete(self) -> list[HeardTurn]:
        """The turns that became complete since the last call; those without words are left out."""
        complete, self._complete = self._complete, []
        return [turn for turn in complete if turn.text]

    def guess(self) -> HeardTurn | None:
        """The open turn as it would be if its present pause ended it."""
        turn = self._turn
        if turn is None or turn.final is None or turn.final.transcript is None:
            return None
        if not turn.final.transcript.text or turn.revisions >= self._policy.max_revisions:
            return None
        return HeardTurn(turn.final.window_id, turn.final.transcript.text, 0.0, 0.0, 0.0)

    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        waits = [
            entry.at + self._policy.stage_timeout_ms / 1000 for entry in self._committed.values()
        ]
        if self._turn:
            waits.append(self._frame_at + self._policy.uplink_stall_ms / 1000)
        return min(waits, default=None)

    def tick(self, now: float) -> None:
        """Commit a turn whose audio stopped coming; give up on transcripts that are overdue."""
        if self._turn and now >= self._frame_at + self._policy.uplink_stall_ms / 1000:
            self._commit(self._turn, now)
        limit = self._policy.stage_timeout_ms / 1000
        for window_id in [w for w, entry in self._committed.items() if now >= entry.at + limit]:
            late = ev.TranscriptFailed(window_id, "stage_timeout", "no transcript came in time")
            self.failed(late)

    def _open(self) -> None:
        start_ms = self._endpointer.start_ms or 0
        # Never reaches into the turn before: its last words would be transcribed twice.
        window_start_ms = max(self._heard_to_ms, start_ms - self._policy.prefix_ms)
        self._turns += 1
        self._turn = _Turn(self._turns, start_ms, window_start_ms, window_start_ms)
        self._turn.next_partial_ms = self._policy.partial_every_ms
        self._out.append(Tell(say.SpeechStarted(start_ms)))

    def _too_long(self, turn: _Turn) -> bool:
        return self._endpointer.now_ms - turn.speech_start_ms >= self._policy.max_turn_ms

    def _expect_end(self, turn: _Turn, now: float) -> None:
        """A pause that may be the end: have the transcript ready by the time it is."""
        if self._policy.incremental_stt:
            if turn.fed_to_ms < self._endpointer.voice_end_ms:
                self._ask_partial(turn)
        elif turn.candidate_ms < self._endpointer.voice_end_ms:
            # Once a pause: should it fail, the commit asks again.
            turn.candidate_ms = self._endpointer.voice_end_ms
            turn.final = self._ask_final(turn, now)

    def _commit(self, turn: _Turn, now: float) -> None:
        ear = self._endpointer
        final = turn.final or self._ask_final(turn, now)
        self._heard_to_ms = final.end_ms
        self._committed[final.window_id] = _Committed(
            final, now, ear.pause_ms, turn.speech_start_ms
        )
        self._out.append(Tell(say.SpeechStopped(ear.voice_end_ms)))
        self._turn = None
        ear.close()
        self._finish_in_order()

    def _finish_in_order(self) -> None:
        """Turns complete in the order they were spoken; a transcript that came early waits."""
        for window_id, committed in list(self._committed.items()):
            if committed.final.transcript is None:
                return
            del self._committed[window_id]
            self._finish(committed, committed.final.transcript)

    def _finish(self, committed: _Committed, transcript: Transcript) -> None:
        final = committed.final
        words = tuple(_shifted(word, final.start_ms) for word in transcript.words)
        self._out.append(
            Tell(
                say.FinalTranscript(
                    transcript.text, committed.speech_start_ms, final.speech_end_ms, words
                )
            )
        )
        self._complete.append(
            HeardTurn(
                final.window_id, transcript.text, committed.at, committed.pause_ms, final.stt_ms
            )
        )

    def _ask_final(self, turn: _Turn, now: float) -> _Final:
        ear = self._endpointer
        window_id, start_ms, end_ms = self._next_window(), turn.window_start_ms, ear.now_ms
        if self._policy.incremental_stt and turn.fed_to_ms > ear.voice_end_ms:
            # All speech was fed at the pause: decoding the rest of it would only take time.
            end_ms = turn.fed_to_ms
        final = _Final(window_id, start_ms, end_ms, ear.voice_end_ms, now)
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
        agreed_end_ms = _end_of(turn.agreement.text, transcript.words)
        if long and agreed_end_ms and not self._policy.incremental_stt:
            # The next windows start at the last agreed word, so a long turn stays cheap.
            turn.partial_start_ms += agreed_end_ms
            turn.agreement = Agreement()

    def _next_window(self) -> int:
        self._windows += 1
        return self._windows


def _settle(final: _Final, transcript: Transcript, now: float) -> None:
    final.transcript = transcript
    final.stt_ms = (now - final.asked_at) * 1000


def _end_of(text: str, words: tuple[Word, ...]) -> int:
    """Where the word that ends `text` ends, by letters: some scripts put no space between words."""
    left = sum(map(str.isalnum, text))
    for word in words if left else ():
        left -= sum(map(str.isalnum, word.text))
        if left <= 0:
            return word.end_ms
    return 0


def _shifted(word: Word, by_ms: int) -> Word:
    return replace(word, start_ms=word.start_ms + by_ms, end_ms=word.end_ms + by_ms)
