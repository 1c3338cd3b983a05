"""A playbook for the turn machine: events in, with virtual time; expected commands out.

    play = Playbook(TurnPolicy())
    play.speech(600) >> [Tell(SpeechStarted(0)), asked(1, 0, 512)]
    play.transcript("hello") >> []
    play(ev.HangUp()) >> [EndCall(1000)]

Calling it with an event hands that to the machine; the helpers feed voice, transcripts and a
reply's audio. Each returns the commands that came of it, and `>>` compares them with those
expected. Time passes only here: on its way to a later moment the playbook sends a Tick at each
deadline of the machine and takes audio from the last reply's playout the moment it may leave.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from unittest.mock import ANY

from deployments.contracts import AudioChunk, Message, SpokenWord, Transcript, Word
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import (
    Command,
    JudgePause,
    StartReply,
    Tell,
    Transcribe,
    WakeReply,
)
from serve_app.conversation.playout import AudioSlice, Playout
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.turn import TurnMachine

FRAME_MS = 32
RATE = 16_000
WORDS = "one two three four five six seven eight nine ten"
TICKS_AT_ONCE = 20
"""A machine that wants more ticks than this at one moment makes no progress."""


class Commands(list[Command]):
    """What came of one step. `>>` asserts what was expected of it."""

    def __rshift__(self, expected: Sequence[object]) -> Commands:
        if list(self) != list(expected):
            want = [repr(command) for command in expected]
            got = [repr(command) for command in self]
            diff = difflib.unified_diff(want, got, "expected", "happened", lineterm="")
            raise AssertionError("\n" + "\n".join(diff))
        return self

    @property
    def told(self) -> list[say.Announcement]:
        """What the client was told."""
        return [command.announcement for command in self if isinstance(command, Tell)]


class Playbook:
    """One machine, its clock, and the caller and the stages around it."""

    def __init__(self, policy: TurnPolicy, instructions: str = "") -> None:
        self.now = 100.0
        self.audio_ms = 0
        self.machine = TurnMachine(policy, instructions, self.now)
        self.windows: list[Transcribe] = []
        self.pauses: list[JudgePause] = []
        self.replies: dict[str, StartReply] = {}
        self.sent: list[tuple[float, AudioSlice]] = []
        self.all = Commands()
        self._pacing: Playout | None = None

    def __call__(self, event: ev.Event) -> Commands:
        """Hand the machine an event now."""
        commands = Commands(self.machine.handle(event, self.now))
        self.all += commands
        for command in commands:
            if isinstance(command, Transcribe):
                self.windows.append(command)
            elif isinstance(command, JudgePause):
                self.pauses.append(command)
            elif isinstance(command, StartReply):
                self.replies[command.reply_id] = command
                self._pacing = command.playout
        return commands

    def wait(self, ms: float) -> Commands:
        """Let time pass without a frame."""
        out = Commands()
        until = self.now + ms / 1000
        ticks = 0
        while True:
            tick_at = self.machine.deadline()
            send_at = self._pacing.next_at(self.now) if self._pacing else None
            at = min(x for x in (tick_at, send_at, until) if x is not None)
            if at > self.now:
                ticks = 0
            self.now = max(self.now, at)
            if tick_at is not None and tick_at <= self.now and self.now <= until:
                ticks += 1
                assert ticks < TICKS_AT_ONCE, "a Tick at the deadline makes no progress"
                out += self(ev.Tick())
            elif self._pacing and (piece := self._pacing.take(self.now)):
                self.sent.append((self.now, piece))
            elif at >= until:
                return out

    def frame(self, probability: float) -> Commands:
        """The next 32 ms of the caller's audio."""
        out = self.wait(FRAME_MS)
        self.audio_ms += FRAME_MS
        out += self(ev.VoiceFrame(probability, self.audio_ms))
        return out

    def frames(self, probability: float, ms: int) -> Commands:
        """At least `ms` of the caller's audio, all alike."""
        out = Commands()
        for _ in range(-(-ms // FRAME_MS)):
            out += self.frame(probability)
        return out

    def speech(self, ms: int) -> Commands:
        """The caller speaks."""
        return self.frames(0.9, ms)

    def silence(self, ms: int) -> Commands:
        """The caller is silent."""
        return self.frames(0.1, ms)

    def drop(self) -> Commands:
        """The level dropped 15 ms ago."""
        return self(ev.LevelDropped(self.audio_ms - 15, self.audio_ms))

    def rise(self) -> Commands:
        """The level rises now."""
        return self(ev.LevelRose(self.audio_ms))

    def transcript(
        self,
        text: str,
        window_id: int | None = None,
        *,
        words: Sequence[Word] = (),
        room: bool = True,
    ) -> Commands:
        """A window, by default the last one asked for, was transcribed."""
        window = window_id if window_id is not None else self.windows[-1].window_id
        return self(ev.TranscriptReady(window, Transcript(text, tuple(words)), room=room))

    def no_transcript(self, window_id: int | None = None) -> Commands:
        """A window, by default the last one asked for, could not be transcribed."""
        window = window_id if window_id is not None else self.windows[-1].window_id
        return self(ev.TranscriptFailed(window, "stage_failed", "no"))

    def judged(self, probability: float | None, pause_id: int | None = None) -> Commands:
        """A pause, by default the last one asked about, was judged."""
        pause = pause_id if pause_id is not None else self.pauses[-1].pause_id
        return self(ev.PauseJudged(pause, probability))

    def turn(self, text: str) -> Commands:
        """A whole turn of the caller's, understood as `text`."""
        out = self.speech(320)
        out += self.silence(128)
        out += self.transcript(text)
        out += self.silence(448)
        return out

    def voice(self, text: str, *, word_ms: int = 200, marks: bool = True) -> None:
        """The last reply's next phrase is written and spoken whole."""
        reply = list(self.replies.values())[-1]
        reply.playout.begin_phrase(text)
        for word in spoken_words(text, word_ms) if marks else [None] * len(text.split()):
            pcm = bytes(word_ms * RATE // 1000 * 2)
            reply.playout.push(AudioChunk(pcm, RATE, (word,) if word else ()))
        reply.playout.end_phrase()

    def speaking(self, text: str, *, word_ms: int = 200) -> None:
        """A typed turn is answered with `text`, whose first audio has left."""
        self(ev.TextTyped("hi"))
        reply_id = list(self.replies)[-1]
        self(ev.ReplyTextWritten(reply_id, text))
        self.voice(text, word_ms=word_ms)
        self.wait(0)
        self(ev.ReplySpeaking(reply_id, 1, 2))


def spoken_words(text: str, word_ms: int) -> list[SpokenWord]:
    """Where each word of `text` begins, each `word_ms` long."""
    words: list[SpokenWord] = []
    at = 0
    for index, word in enumerate(text.split()):
        start = text.index(word, at)
        at = start + len(word)
        words.append(SpokenWord(start, at, index * word_ms))
    return words


def asked(window_id: int, start_ms: int, end_ms: int, *, turn: int = 1) -> Transcribe:
    """A partial transcript is asked for."""
    return Transcribe(window_id, turn, start_ms, end_ms, final=False)


def asked_final(window_id: int, start_ms: int, end_ms: int, *, turn: int = 1) -> Transcribe:
    """A final transcript is asked for."""
    return Transcribe(window_id, turn, start_ms, end_ms, final=True)


def started(reply_id: str, *messages: tuple[str, str]) -> StartReply:
    """A reply to (role, content) messages is started."""
    wanted = tuple(Message(role, content) for role, content in messages)  # type: ignore[arg-type]
    return StartReply(reply_id, wanted, ANY)


def interrupted() -> Playbook:
    """The agent was speaking and the caller has spoken for long enough to pause it."""
    play = Playbook(TurnPolicy())
    play.speaking(WORDS)
    play.silence(384) >> []
    play.speech(192) >> [Tell(say.SpeechStarted(384))]
    play.speech(32) >> [
        Tell(say.ReplyFlushed("reply-1")),
        WakeReply("reply-1"),
        asked(1, 64, 608),
    ]
    return play


def answered(reply_id: str, *contents: str) -> list[object]:
    """A reply to what the caller said starts; nothing was heard of any before it."""
    messages = [("user", content) for content in contents]
    return [started(reply_id, *messages), Tell(say.ReplyStarted(reply_id))]


def told_final(text: str, start_ms: int, end_ms: int) -> Tell:
    """The client is told a final transcript without word times."""
    return Tell(say.FinalTranscript(text, start_ms, end_ms))


def done(reply_id: str, status: say.ReplyStatus, heard: str = "") -> Tell:
    """The client is told that a reply is over."""
    return Tell(say.ReplyDone(reply_id, status, heard))


def wrote(reply_id: str, text: str) -> ev.ReplyTextWritten:
    """The model wrote text."""
    return ev.ReplyTextWritten(reply_id, text)
