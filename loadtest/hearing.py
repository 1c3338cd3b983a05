"""What one caller has heard, told by the server's events, and what of it is wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import cast

from bench.player import Player
from clients.events import (
    Audio,
    ErrorBytes,
    Event,
    Final,
    Flush,
    Ready,
    ReplyDone,
    ReplyResumed,
    ReplyStarted,
    ReplyText,
    ServerError,
    Timings,
    TranscriptBytes,
)
from loadtest.marks import Marks, VoiceWatch, foreign_tone, foreign_word

LEAK = "leak"
STAGES = ("pause_ms", "stt_ms", "llm_ms", "tts_ms", "pipeline_ms")


@dataclass(slots=True)
class Reply:
    """What came of one reply; times in s of the caller's clock."""

    id: str
    started_at: float
    watch: VoiceWatch
    player: Player = field(default_factory=Player)
    text: str = ""
    stages: dict[str, float] = field(default_factory=dict[str, float])
    flushed: bool = False
    flush_at: float | None = None
    status: str | None = None
    underruns: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind` is LEAK or a class of failures."""

    kind: str
    what: str


class Hearing:
    """Follows one call. `timed`: the server has the timed backends, which tell callers apart."""

    def __init__(self, marks: Marks, *, timed: bool) -> None:
        self._marks = marks
        self._timed = timed
        self._replies: dict[str, Reply] = {}
        self._known: set[Problem] = set()
        self._problems: list[Problem] = []
        self.ready = 0
        """How often a call was opened: once, and after each return."""
        self.transcript: str | None = None
        """Of the turn; None: not yet."""
        self.reply: Reply | None = None
        """The turn's latest."""
        self.expects_reply = False

    def begin_turn(self) -> None:
        """The caller says or types something."""
        self.reply, self.transcript, self.expects_reply = None, None, True

    def end_turn(self) -> None:
        """The caller has its answer: it said nothing since."""
        self.expects_reply = False

    @property
    def audible(self) -> bool:
        """Something of the turn's reply was heard."""
        return self.reply is not None and self.reply.player.audible_at is not None

    def problems(self) -> list[Problem]:
        """What is new of them."""
        new, self._problems = self._problems, []
        return new

    def handle(self, event: Event, now: float) -> None:
        """The server sent something."""
        if isinstance(event, Audio):
            self._audio(event)
            return
        if isinstance(event, Ready):  # Its texts are names, not what anybody said.
            self.ready += 1
            return
        for text in _texts(asdict(event)):
            self._look(text)
        match event:
            case Final(text=text):
                self.transcript = text
            case ServerError(code=code, message=message):
                self._note(f"error {code}", message)
            case TranscriptBytes() | ErrorBytes():
                pass  # said in JSON as well
            case _:
                self._of_a_reply(event, now)

    def _of_a_reply(self, event: Event, now: float) -> None:
        match event:
            case ReplyStarted(reply_id=id):
                if not self.expects_reply:
                    self._note("unprompted reply", "a reply, and nothing had been said")
                self.reply = self._replies[id] = Reply(id, now, VoiceWatch(self._marks))
            case ReplyText(reply_id=id, delta=delta) if reply := self._replies.get(id):
                reply.text += delta
                self._look(reply.text)
            case Flush(reply_id=id) if reply := self._replies.get(id):
                reply.flushed, reply.flush_at = True, now
            case ReplyResumed(reply_id=id) if reply := self._replies.get(id):
                reply.underruns += reply.player.underruns
                reply.flushed, reply.watch = False, VoiceWatch(self._marks)
                reply.player = _going_on(reply.player)
            case ReplyDone(reply_id=id, status=status) if reply := self._replies.get(id):
                reply.status = status
                if status == "failed":
                    self._note("failed reply", "the server says that the reply failed")
            case Timings(reply_id=id) if reply := self._replies.get(id):
                said = asdict(event)
                reply.stages = {stage: float(said[stage]) for stage in STAGES}
            case _:
                pass

    def _audio(self, audio: Audio) -> None:
        reply = self._replies.get(audio.reply_id)
        if reply is None:
            self._note("stray audio", "audio of no reply")
            return
        if reply.flushed:
            self._note("audio after flush", f"of reply {reply.id}")
            return
        reply.player.take(audio.at, audio.pcm, audio.rate)
        hz = reply.watch.push(audio.pcm, audio.rate) if self._timed else None
        if hz is not None:
            self._note(LEAK, f"audio: a voice of {hz:.0f} Hz, not {self._marks.voice_hz} Hz")

    def _look(self, text: str) -> None:
        if word := foreign_word(text, self._marks):
            self._note(LEAK, f"text: {word}, not {self._marks.word}")
        if self._timed and (tone := foreign_tone(text, self._marks)):
            self._note(LEAK, f"text: {tone}, not {self._marks.tone_hz} Hz")

    def _note(self, kind: str, what: str) -> None:
        """The same thing once in a call."""
        problem = Problem(kind, what)
        if problem not in self._known:
            self._known.add(problem)
            self._problems.append(problem)


def _going_on(before: Player) -> Player:
    """A player that starts anew within a reply: its first sound was the old one's."""
    player = Player()
    player.audible_at = before.audible_at
    return player


def _texts(value: object) -> Iterator[str]:
    """Every text in what a message says, those of messages that are not known here included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in cast("Mapping[object, object]", value).values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in cast("Sequence[object]", value):
            yield from _texts(part)
