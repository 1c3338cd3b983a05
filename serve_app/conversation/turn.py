"""The turn machine: decides when the caller's turn ends, when the agent speaks, and when it stops.

Told events with the time, it answers with commands; `deadline` says when it wants a `Tick`.
It holds two things that may overlap: the caller's turn (`listening`) and the agent's reply
(`replying`). What ties them:

    speech begins      → a turn opens; a reply that is audible is paused and recalled
    words are there    → the paused reply is cancelled; history keeps what was heard of it
    no words came      → the paused reply goes on where it stopped
    or only asides     → the same, once the turn is over, and the turn is none
    the pause is long  → the turn is committed; its final transcript starts the next reply.
                         How long: by the sound and the words before it (`patience`)

With speculation the reply starts on the transcript of a pause that may yet turn out short, or of
a drop of the level that may be none, and is held back: nothing of it leaves, and history does not
know it, before the commit.
"""

from __future__ import annotations

from typing import assert_never

from deployments.contracts import Message
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.asides import Asides
from serve_app.conversation.commands import Command, EndCall, Tell
from serve_app.conversation.discretion import Discretion
from serve_app.conversation.endpointing import FRAME_MS, ONE_BY_ONE, FramesTogether
from serve_app.conversation.finals import HeardTurn
from serve_app.conversation.history import Entry, History
from serve_app.conversation.listening import Listening
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.presence import WORDLESS, Presence
from serve_app.conversation.replying import Replying, Speculation
from serve_app.conversation.snapshot import Snapshot, merged

GOING_AWAY = 1001
NORMAL_CLOSURE = 1000


class TurnMachine:
    """One call's conversation. `handle` must be called with times that never go back."""

    def __init__(self, policy: TurnPolicy, instructions: str, now: float) -> None:
        self._policy = policy
        self._history = History(instructions, policy.max_history_chars)
        self._out: list[Command] = []
        self._listening = Listening(policy, self._out)
        self._replying = Replying(policy, self._history, self._out)
        self._asides = Asides(policy)
        self._discretion = None if policy.resumes else Discretion()
        self._turn_id: int | None = None
        self._unanswered: list[HeardTurn] = []
        self._presence = Presence(policy, now)
        self._answers = True
        self._interruptible = True
        self._in_silence = FramesTogether(policy.endpointing.start_ms // FRAME_MS, 1)
        self._in_speech = FramesTogether(1, policy.speculate_after_ms // FRAME_MS)
        self._config = ev.ConfigChanged()
        self.ended = False

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        """What to do about `event`."""
        was_busy, reply_before = self._busy(), self._replying.live_id
        if not self.ended:
            self._take(event, now)
            if not self.ended and not self._listening.awaited:
                self._replying.start_requested(now)
            if was_busy or self._busy():
                replies = {x for x in (reply_before, self._replying.live_id) if x}
                self._presence.busy(replies, self._listening.heard_ms, now)
        commands = self._out[:]
        self._out.clear()
        if self._discretion is None:
            return commands
        over_reply = self._interruptible and bool(reply_before or self._replying.active)
        undecided = self._listening.undecided
        return self._discretion.pass_on(commands, over_reply=over_reply, undecided=undecided)

    def snapshot(self, now: float) -> Snapshot:
        """The conversation as it can go on elsewhere if the call breaks off now.

        A turn that has no transcript yet is not in it, nor what is held back.
        """
        unanswered = [
            Entry(turn.message_id, Message("user", turn.text)) for turn in self._unanswered
        ]
        return Snapshot(
            messages=self._history.entries,
            turns=self._history.turns,
            config=self._config,
            replies=self._replying.begun,
            cut=self._replying.cut_off(now),
            unanswered=tuple(unanswered),
            requests=self._replying.requests.waiting,
            lasted_s=self._presence.lasted_s(now),
        )

    def restore(self, kept: Snapshot) -> None:
        """Go on with a conversation that broke off. Before the first event, which begins what
        is owed: the rest of the reply that was cut, or an answer if nothing of one was heard."""
        history, requests = self._history, self._replying.requests
        for entry in kept.said():
            history.insert(entry.message, entry.message_id)
        for request in kept.owed(self._policy.language or "en"):
            requests.add(request)
        history.turns = kept.turns + len(kept.unanswered)
        self._replying.begun = kept.replies
        self._presence.lasted_before(kept.lasted_s)
        self._configure(kept.config)

    @property
    def speculation(self) -> Speculation:
        """The waste of speculation so far."""
        return self._replying.speculation

    @property
    def between_turns(self) -> bool:
        """Nobody speaks, and no answer is owed: here a call is broken off with the least notice."""
        owed = self._unanswered or self._replying.requests.waiting
        return not (self._busy() or owed)

    @property
    def frames_together(self) -> FramesTogether:
        """Voice frames that may come together: as many as it takes to decide anything.

        So much voice begins a turn; so much silence in one makes a pause. Over a reply any frame
        of a turn may be the one that interrupts.
        """
        if self._listening.turn_id is None:
            return self._in_silence
        hasty = self._listening.endpoint_ms < self._policy.speculate_after_ms
        return ONE_BY_ONE if hasty or self._replying.active else self._in_speech

    @property
    def needs_partials(self) -> bool:
        """A recogniser that keeps state hears the turn by them."""
        return self._policy.incremental_stt

    def deadline(self) -> float | None:
        """When to send a Tick; None once the call has ended."""
        if self.ended:
            return None
        presence = self._presence.deadline(busy=self._busy())
        waits = [presence, self._listening.deadline(), self._replying.deadline()]
        return min(wait for wait in waits if wait is not None)

    def _take(self, event: ev.Event, now: float) -> None:
        match event:
            case ev.VoiceFrame():
                self._hear(event, now)
            case ev.LevelDropped():
                self._listening.dropped(event, now)
                self._mind_transcripts(now)
            case ev.LevelRose():
                self._listening.rose(event)
                self._mind_transcripts(now)
            case ev.TranscriptReady():
                self._on_transcript(event, now)
            case ev.TranscriptFailed():
                self._listening.failed(event)
                self._mind_transcripts(now)
            case ev.PauseJudged():
                self._listening.judged(event)
                self._listening.consider(now)
                self._mind_transcripts(now)
            case ev.ReplyTextWritten():
                self._replying.written(event)
            case ev.ToolsCalled() | ev.ToolFinished() | ev.ToolAnswered():
                self._replying.tools(event, now)
            case ev.ReplySpeaking():
                self._replying.speaking(event, now)
            case ev.ReplyFinished():
                self._replying.finished(event, now)
                self._answer_turns(now)
            case ev.TextTyped(text=text):
                self._replying.answer_typed(text, now)
            case ev.CommitRequested():
                self._asides.heed(self._turn_id or 0)
                self._listening.commit_now(now)
                self._mind_transcripts(now)
            case ev.HearingCleared():
                self._listening.clear()
                self._mind_transcripts(now)
            case ev.InterruptRequested():
                self._replying.requests.withdraw()
                self._replying.interrupt(now)
            case ev.PlaybackReported():
                self._replying.played(event)
            case ev.ReplyTruncated():
                self._replying.truncate(event, now)
            case ev.ReplyRequested():
                self._replying.requests.add(event)
            case ev.MessageAdded(message_id=message_id, role=role, text=text, after=after):
                self._history.insert(Message(role, text), message_id, after)
            case ev.ToolCallAdded(call=call, after=after):
                self._history.add_call(call, after)
            case ev.MessageRemoved(message_id=message_id):
                self._history.remove(message_id)
            case ev.ConfigChanged():
                self._configure(event)
                self._mind_silence(now)
            case ev.HangUp():
                self._end(NORMAL_CLOSURE, now)
            case ev.Dismissed(close_code=close_code):
                self._end(close_code, now)
            case ev.Tick():
                self._tick(now)
            case _:
                assert_never(event)

    def _on_transcript(self, event: ev.TranscriptReady, now: float) -> None:
        turn_id = self._listening.turn_id
        words = self._listening.transcribed(event, now)
        if words and turn_id is not None:
            self._presence.heard_words(now)
            aside = self._asides.may_be(turn_id, words, self._replying.audible)
            if self._interruptible and not aside:
                self._replying.interrupt(now)
        self._listening.consider(now)
        self._mind_transcripts(now)

    def _mind_transcripts(self, now: float) -> None:
        """Answer turns that are complete; begin or drop a speculative reply."""
        complete = self._listening.take_complete()
        self._unanswered += [turn for turn in complete if self._counts(turn, now)]
        self._answer_turns(now)
        guess = self._listening.guess() if self._answers else None
        self._replying.speculate(
            guess if guess and self._counts(guess, now) else None, room=self._listening.room
        )
        self._mind_silence(now)

    def _answer_turns(self, now: float) -> None:
        if not self._unanswered or (self._replying.active and not self._interruptible):
            return
        turns, self._unanswered = self._unanswered, []
        if self._answers:
            self._replying.answer(turns, now)
        else:
            self._replying.interrupt(now)
            self._replying.remember(turns)

    def _counts(self, turn: HeardTurn, now: float) -> bool:
        return not self._asides.include(turn, self._replying.audible, now)

    def _hear(self, frame: ev.VoiceFrame, now: float) -> None:
        listening, policy = self._listening, self._policy
        listening.hear(frame, now)
        if listening.turn_id not in (None, self._turn_id):
            self._turn_id = listening.turn_id
            self._asides.begin(listening.turn_id, self._replying.audible)
        may_pause = self._interruptible and listening.speech_ms >= policy.min_interrupt_ms
        if may_pause and self._replying.pause(now):
            listening.ask_partial_now()
        self._mind_transcripts(now)

    def _mind_silence(self, now: float) -> None:
        """A reply paused for speech that held no words goes on."""
        if not self._listening.undecided:
            self._replying.resume(now)

    def _configure(self, change: ev.ConfigChanged) -> None:
        self._config = merged(self._config, change)
        if change.instructions is not None:
            self._history.instructions = change.instructions
        if change.language is not None:
            self._asides.set_language(change.language)
        listening = self._listening
        if change.tools is not None:
            self._replying.client_tools = change.tools
        if change.tool_choice is not None:
            self._replying.tool_choice = change.tool_choice
        if change.continues is not None:
            self._replying.continues = change.continues
        if change.endpoint_ms is not None:
            listening.endpoint_ms = change.endpoint_ms
        if change.prefix_ms is not None:
            listening.prefix_ms = change.prefix_ms
        if change.voice_probability is not None:
            listening.set_voice_probability(change.voice_probability)
        if change.detects_turns is not None:
            listening.detect(change.detects_turns)
        if change.answers_turns is not None:
            self._answers = change.answers_turns
        if change.interruptible is not None:
            self._interruptible = change.interruptible
        if change.speaks is not None:
            self._replying.speaks = change.speaks
        if change.silence_ms is not None:
            self._presence.answer_after_ms = change.silence_ms

    def _tick(self, now: float) -> None:
        if why := self._presence.expired(now, busy=self._busy()):
            self._out.append(Tell(say.CallError("session_expired", why)))
            self._end(GOING_AWAY, now)
            return
        self._listening.tick(now)
        self._mind_transcripts(now)
        self._replying.tick(now)
        if not self._busy():
            self._answer_silence(now)

    def _answer_silence(self, now: float) -> None:
        silence = self._presence.silence(self._listening.heard_ms, now)
        if silence is None:
            return
        self._out.append(Tell(say.SilenceTimedOut(*silence)))
        message_id = say.turn_message_id(silence[1])
        self._replying.answer([HeardTurn(0, WORDLESS, now, 0.0, 0.0, message_id)], now)
        self._presence.silence_reply = self._replying.live_id

    def _busy(self) -> bool:
        return self._listening.undecided or self._replying.active

    def _end(self, close_code: int, now: float) -> None:
        self._replying.speculate(None, room=False)
        self._replying.interrupt(now)
        self._out.append(EndCall(close_code))
        self.ended = True
