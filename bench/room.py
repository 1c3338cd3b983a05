"""A caller in a room with a loudspeaker, in virtual time: real voices, detector and turn machine.

The agent's reply leaves as it does in a call, sounds from the loudspeaker, and comes back to the
microphone later, quieter and with the room's reflections; the caller's own words and noise are
added. The recogniser is an oracle: it knows each word whose middle lies in its window, the
agent's too where the caller is silent, which is the hardest case for the guard.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deployments.contracts import SPEECH_RATE, AudioChunk, SpokenWord, Transcript
from serve_app.audio.echo import EchoGuard
from serve_app.audio.pcm import Samples, from_float
from serve_app.audio.uplink import Uplink
from serve_app.audio.vad import SileroVad
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import Command, StartReply, Tell, Transcribe
from serve_app.conversation.playout import Playout
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.turn import TurnMachine
from serve_app.dialects import AudioFormat

PER_MS = SPEECH_RATE // 1000
STEP_MS = 20
STT_MS = 80


@dataclass(frozen=True, slots=True)
class Clip:
    """Spoken text: samples at 16 kHz and where its words begin."""

    text: str
    samples: Samples
    words: tuple[SpokenWord, ...]

    @property
    def length_ms(self) -> float:
        """How long it takes to say."""
        return len(self.samples) / PER_MS

    def words_between(self, start_ms: float, end_ms: float) -> list[tuple[float, str]]:
        """Words whose middle lies there, with their times."""
        ends = [word.at_ms for word in self.words[1:]] + [self.length_ms]
        middles = [(word.at_ms + end) / 2 for word, end in zip(self.words, ends, strict=True)]
        return [
            (middle, self.text[word.start : word.end])
            for middle, word in zip(middles, self.words, strict=True)
            if start_ms <= middle < end_ms
        ]


@dataclass(frozen=True, slots=True)
class Scene:
    """One reply, and what is heard meanwhile. `reverberation_db`: below the direct echo."""

    reply: Clip
    delay_ms: int
    echo_db: float = -20.0
    reverberation_db: float = 6.0
    caller: Clip | None = None
    caller_at_ms: int = 0
    noise_db: float = -65.0
    guard: bool = True


@dataclass(slots=True)
class Outcome:
    """What became of the reply; times in ms after the caller began to speak."""

    flushed_ms: list[float] = field(default_factory=list[float])
    resumed: int = 0
    status: str = ""
    finals: list[str] = field(default_factory=list[str])
    answered: bool = False


def play(scene: Scene, seed: int) -> Outcome:
    """Let the scene happen."""
    room = _Room(scene, np.random.default_rng(seed))
    while not room.over:
        room.step()
    return room.outcome


class _Room:
    def __init__(self, scene: Scene, random: np.random.Generator) -> None:
        self._scene = scene
        self._random = random
        self._response = _response(scene, random)
        length = int((scene.reply.length_ms + 8_000) * PER_MS)
        self._echo = np.zeros(length + len(self._response), np.float32)
        guard = EchoGuard() if scene.guard else None
        self._uplink = Uplink(AudioFormat("pcm16", SPEECH_RATE), SileroVad(), 60_000, echo=guard)
        self._machine = TurnMachine(TurnPolicy(language="en"), "", 0.0)
        self._now_ms = 0
        self._length_ms = length // PER_MS
        self._transcripts: list[tuple[float, Transcribe]] = []
        self._playout: Playout | None = None
        self._reply_id = ""
        self._played: list[tuple[float, float, float]] = []
        self._dry_ms = 0.0
        self.outcome = Outcome()

    @property
    def over(self) -> bool:
        """The reply ended, and time enough has passed for what it left behind."""
        return self._now_ms + STEP_MS >= self._length_ms

    def step(self) -> None:
        """20 ms."""
        if self._now_ms == 1_000:
            self._tell(ev.TextTyped("go on"))
        for due_ms, window in [w for w in self._transcripts if w[0] <= self._now_ms]:
            self._transcripts.remove((due_ms, window))
            self._tell(ev.TranscriptReady(window.window_id, self._hear(window)))
        deadline = self._machine.deadline()
        if deadline is not None and deadline <= self._now_ms / 1000:
            self._tell(ev.Tick())
        self._send()
        self._now_ms += STEP_MS
        for frame in self._uplink.accept(self._microphone()):
            self._tell(frame)

    def _tell(self, event: ev.Event) -> None:
        for command in self._machine.handle(event, self._now_ms / 1000):
            self._perform(command)

    def _perform(self, command: Command) -> None:
        match command:
            case Transcribe():
                self._transcripts.append((self._now_ms + STT_MS, command))
            case StartReply() if self._playout is None:
                self._playout, self._reply_id = command.playout, command.reply_id
                _speak(self._scene.reply, command.playout)
            case StartReply():
                self.outcome.answered = True
            case Tell(announcement=announcement):
                self._note(announcement)
            case _:
                pass

    def _note(self, announcement: say.Announcement) -> None:
        since_ms = self._now_ms - self._scene.caller_at_ms
        match announcement:
            case say.ReplyFlushed():
                self.outcome.flushed_ms.append(since_ms)
                self._uplink.recall_overheard()
                self._silence_loudspeaker()
            case say.ReplyResumed():
                self.outcome.resumed += 1
            case say.ReplyDone(reply_id=self._reply_id, status=status):
                self.outcome.status = status
            case say.FinalTranscript(text=text):
                self.outcome.finals.append(text)
            case _:
                pass

    def _send(self) -> None:
        if self._playout is None or self.outcome.status:
            return
        while (piece := self._playout.take(self._now_ms / 1000)) is not None:
            self._uplink.overhear(piece.pcm, piece.rate)
            start_ms = max(float(self._now_ms), self._dry_ms)
            self._dry_ms = start_ms + piece.end_ms - piece.start_ms
            self._sound(piece.start_ms, piece.end_ms, start_ms, 1)
            self._played.append((start_ms, piece.start_ms, piece.end_ms))
            self._tell(ev.ReplySpeaking(self._reply_id, 0, 0))
        over_at = self._playout.over_at()
        if over_at is not None and over_at * 1000 <= self._now_ms:
            self._tell(ev.ReplyFinished(self._reply_id))

    def _sound(self, from_ms: float, to_ms: float, at_ms: float, sign: int) -> None:
        """Add a stretch of the reply, as the room returns it, to what the microphone will hear."""
        piece = self._scene.reply.samples[int(from_ms * PER_MS) : int(to_ms * PER_MS)]
        echo = np.convolve(piece, self._response).astype(np.float32)
        start = int(at_ms * PER_MS)
        end = min(start + len(echo), len(self._echo))
        self._echo[start:end] += sign * echo[: end - start]

    def _silence_loudspeaker(self) -> None:
        """What was not played yet never will be."""
        for at_ms, from_ms, to_ms in self._played:
            cut_ms = from_ms + max(0.0, self._now_ms - at_ms)
            if cut_ms < to_ms:
                self._sound(cut_ms, to_ms, at_ms + cut_ms - from_ms, -1)
        self._played = [
            (at_ms, from_ms, min(to_ms, from_ms + max(0.0, self._now_ms - at_ms)))
            for at_ms, from_ms, to_ms in self._played
            if at_ms < self._now_ms
        ]
        self._dry_ms = float(self._now_ms)

    def _microphone(self) -> bytes:
        start, end = (self._now_ms - STEP_MS) * PER_MS, self._now_ms * PER_MS
        heard = self._echo[start:end] + self._random.normal(
            0, _ratio(self._scene.noise_db), end - start
        ).astype(np.float32)
        if self._scene.caller:
            first = self._scene.caller_at_ms * PER_MS
            samples = self._scene.caller.samples[max(0, start - first) : max(0, end - first)]
            offset = max(0, first - start)
            heard[offset : offset + len(samples)] += samples[: len(heard) - offset]
        return from_float(heard)

    def _hear(self, window: Transcribe) -> Transcript:
        """Everything that was said: by the caller, else by the loudspeaker."""
        scene, words = self._scene, list[tuple[float, str]]()
        if scene.caller:
            first = scene.caller_at_ms
            said = scene.caller.words_between(window.start_ms - first, window.end_ms - first)
            words += [(first + at_ms, word) for at_ms, word in said]
        for at_ms, from_ms, to_ms in self._played:
            shift = at_ms - from_ms + scene.delay_ms
            echoed = scene.reply.words_between(
                max(from_ms, window.start_ms - shift), min(to_ms, window.end_ms - shift)
            )
            words += [
                (shift + middle, word)
                for middle, word in echoed
                if self._is_audible(shift + middle)
            ]
        return Transcript(" ".join(word for _, word in sorted(words)))

    def _is_audible(self, at_ms: float) -> bool:
        """An echo there is not drowned by the caller."""
        scene = self._scene
        if scene.caller is None or scene.echo_db < -60:
            return scene.echo_db >= -60
        return not scene.caller_at_ms <= at_ms <= scene.caller_at_ms + scene.caller.length_ms


def _response(scene: Scene, random: np.random.Generator) -> Samples:
    """The way from the loudspeaker to the microphone: a delay, then a tail of 250 ms."""
    length = SPEECH_RATE // 4
    tail = random.normal(0, 1, length) * np.exp(-6.9 * np.arange(length) / length)
    tail[: 2 * PER_MS] = 0
    tail *= _ratio(-scene.reverberation_db) / np.sqrt(np.sum(np.square(tail)))
    tail[0] = 1.0
    delay = np.zeros(scene.delay_ms * PER_MS)
    return (np.concatenate((delay, tail)) * _ratio(scene.echo_db)).astype(np.float32)


def _speak(clip: Clip, playout: Playout) -> None:
    playout.begin_phrase(clip.text)
    playout.push(AudioChunk(from_float(clip.samples), SPEECH_RATE, clip.words))
    playout.end_phrase()
    playout.end()


def _ratio(decibels: float) -> float:
    return 10 ** (decibels / 20)
