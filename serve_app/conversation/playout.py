"""What of a reply's audio may be sent now, was sent, and was surely heard.

Audio leaves at most `max_lead_ms` ahead of the caller's loudspeaker, so that a flush has
little to recall, and stays here until it was heard, so that a false interruption can be
taken back. Heard text is cut at a word and never over-credited: a client's reports count as
they are; without reports, a clock that starts when audio leaves and runs `clock_margin_ms`
late stands in for them.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from deployments.contracts import AudioChunk, SpokenWord

SLICE_MS = 80
ROUNDING = 1e-6
"""Of a sample: what adding up times in floating point may lose."""
LATELY_MS = 6_000
"""How far back a phrase is still echoing somewhere, in a slow recogniser if not in a room."""
UNMARKED_MS_PER_CHAR = 100
"""Slower than any voice speaks: how long an unfinished phrase without word times may become."""


@dataclass(frozen=True, slots=True)
class PlayoutPolicy:
    """`max_buffer_ms` is the audio beyond which no further phrase is worth speaking yet;
    `max_held_ms` the same before the release: 0 has nothing spoken until then. Not `paced`:
    audio leaves as it is made, for a client that keeps it."""

    max_lead_ms: int = 250
    clock_margin_ms: int = 150
    max_buffer_ms: int = 4_000
    max_held_ms: int = 4_000
    paced: bool = True


@dataclass(frozen=True, slots=True)
class AudioSlice:
    """A piece to send now; `start_ms` is its place in the reply's audio."""

    pcm: bytes
    rate: int
    start_ms: float

    @property
    def end_ms(self) -> float:
        """Where the next piece starts."""
        return self.start_ms + len(self.pcm) / 2 * 1000 / self.rate


@dataclass(slots=True)
class _Phrase:
    text: str
    start_ms: float
    length_ms: float = 0.0
    complete: bool = False
    words: list[SpokenWord] = field(default_factory=list[SpokenWord])


class Playout:
    """One reply's way to the caller. Starts held back where `released` is False."""

    def __init__(self, policy: PlayoutPolicy, *, released: bool = True) -> None:
        self._policy = policy
        self._released = released
        self._paused = False
        self._phrases: list[_Phrase] = []
        self._begun = 0
        self._unheard: deque[AudioSlice] = deque()
        self._unsent: deque[AudioSlice] = deque()
        self._pushed_ms = 0.0
        self._sent_ms = 0.0
        self._dry_at = 0.0
        self._heard_ms = 0.0
        self._furthest_ms = 0.0
        self._client_reports = False
        self._ended = False

    # What the reply's producer does

    def begin_phrase(self, text: str) -> None:
        """The audio pushed from now on speaks `text`."""
        self._phrases.append(_Phrase(text, self._pushed_ms))

    def push(self, chunk: AudioChunk) -> None:
        """More audio of the present phrase."""
        phrase = self._phrases[-1]
        phrase.words.extend(chunk.words)
        step = max(1, chunk.rate * SLICE_MS // 1000) * 2
        for at in range(0, len(chunk.pcm), step):
            piece = AudioSlice(chunk.pcm[at : at + step], chunk.rate, self._pushed_ms)
            self._unsent.append(piece)
            self._pushed_ms = piece.end_ms
        phrase.length_ms = self._pushed_ms - phrase.start_ms

    def end_phrase(self) -> None:
        """The present phrase has all its audio. One that broke off is not ended: it never counts
        whole."""
        self._phrases[-1].complete = True

    def end(self) -> None:
        """No more audio will come."""
        self._ended = True

    @property
    def wants_more(self) -> bool:
        """Little enough is buffered that the next phrase is worth speaking."""
        most_ms = self._policy.max_buffer_ms if self._released else self._policy.max_held_ms
        return self._pushed_ms - self._sent_ms < most_ms

    @property
    def silent(self) -> bool:
        """No audio has come yet."""
        return self._pushed_ms == 0

    def unplayed_ms(self, now: float) -> float:
        """How long the caller still has sound, if no more comes: what waits here and there."""
        return self._pushed_ms - self._sent_ms + max(0.0, self._dry_at - now) * 1000

    # What the pacing does

    def take(self, now: float) -> AudioSlice | None:
        """The next piece, if it may leave now."""
        due = self.next_at(now)
        if due is None or due > now:
            return None
        piece = self._unsent.popleft()
        self._forget_heard(now)
        self._unheard.append(piece)
        self._sent_ms = piece.end_ms
        self._furthest_ms = max(self._furthest_ms, self._sent_ms)
        self._dry_at = max(self._dry_at, now) + (piece.end_ms - piece.start_ms) / 1000
        return piece

    def begun(self) -> list[tuple[str, int]]:
        """The phrases whose first audio has left since the last time: text, and where in ms."""
        new = self._phrases[self._begun :]
        begun = [phrase for phrase in new if phrase.length_ms and phrase.start_ms < self._sent_ms]
        if begun:
            self._begun = self._phrases.index(begun[-1], self._begun) + 1
        return [(phrase.text, round(phrase.start_ms)) for phrase in begun]

    def next_at(self, now: float) -> float | None:
        """When the next piece may leave; None while there is none to send."""
        if not self._released or self._paused or not self._unsent:
            return None
        if not self._policy.paced:
            return now
        first = self._unsent[0]
        lead_ms = self._policy.max_lead_ms - (first.end_ms - first.start_ms)
        return max(now, self._dry_at - lead_ms / 1000)

    def over_at(self) -> float | None:
        """When the caller's loudspeaker will have played everything; None while more may come."""
        if not self._ended or self._paused or not self._released or self._unsent:
            return None
        return self._dry_at if self._policy.paced else 0.0

    # What the turn machine decides

    @property
    def released(self) -> bool:
        """Audio may leave (pauses aside)."""
        return self._released

    @property
    def paused(self) -> bool:
        """A possible interruption holds the audio back."""
        return self._paused

    @property
    def started(self) -> bool:
        """Some audio has left."""
        return self._furthest_ms > 0

    def release(self) -> None:
        """The turn is decided: audio may leave."""
        self._released = True

    def pause(self, now: float) -> bool:
        """Send nothing more for now. True if audio that has left must be recalled.

        Recalled audio is unsent again. A later report of the client's, which excludes what it
        dropped, may still show that more of it was heard.
        """
        self._paused = True
        if self._dry_at <= now:
            return False
        self._heard_ms = self.heard_ms(now)
        self._dry_at = now
        self._unsent.extendleft(reversed(self._unheard))
        self._unheard.clear()
        self._sent_ms = self._unsent[0].start_ms
        return True

    def hold(self) -> None:
        """Send nothing more for now; what has left is played."""
        self._paused = True

    def resume(self) -> int:
        """Go on from the last sample heard; its place in the reply, in ms."""
        self._paused = False
        self._skip_to(self._heard_ms)
        return round(self._sent_ms)

    def played(self, played_ms: float) -> None:
        """The client reports that it played this much; never more than was sent counts."""
        if not self._client_reports:
            # From here on its word replaces the clock's guess.
            self._client_reports = True
            self._heard_ms = 0.0
        self._heard_ms = max(self._heard_ms, min(played_ms, self._furthest_ms))

    def truncate(self, played_ms: float) -> None:
        """The client played no more than this, whatever it or the clock said before."""
        self._client_reports = True
        self._heard_ms = max(0.0, min(played_ms, self._furthest_ms))

    def heard_ms(self, now: float) -> float:
        """How much of the audio was surely heard."""
        if self._client_reports:
            return self._heard_ms
        ahead_ms = max(0.0, self._dry_at - now) * 1000
        silent_ms = max(0.0, now - self._dry_at) * 1000
        late_ms = max(0.0, self._policy.clock_margin_ms - silent_ms)
        return max(self._heard_ms, self._sent_ms - ahead_ms - late_ms)

    def heard(self, now: float) -> str:
        """What of the text was surely heard, cut at a word."""
        limit_ms = self.heard_ms(now)
        return " ".join(filter(None, (_heard_of(phrase, limit_ms) for phrase in self._phrases)))

    def rest_ms(self, now: float) -> float:
        """How much of the reply is still to be heard; infinite while more may come."""
        return self._pushed_ms - self.heard_ms(now) if self._ended else math.inf

    def said_lately(self) -> str:
        """The phrases whose audio left last."""
        since_ms = self._furthest_ms - LATELY_MS
        return " ".join(
            phrase.text
            for phrase in self._phrases
            if phrase.length_ms and phrase.start_ms < self._furthest_ms
            if phrase.start_ms + phrase.length_ms > since_ms
        )

    def _forget_heard(self, now: float) -> None:
        self._heard_ms = self.heard_ms(now)
        while self._unheard and self._unheard[0].end_ms <= self._heard_ms:
            self._unheard.popleft()

    def _skip_to(self, to_ms: float) -> None:
        """Drop unsent audio up to a whole sample at or just before `to_ms`."""
        while self._unsent and self._unsent[0].end_ms <= to_ms:
            self._sent_ms = self._unsent.popleft().end_ms
        if not self._unsent:
            return
        first = self._unsent.popleft()
        skipped = max(0, int((to_ms - first.start_ms) * first.rate / 1000 + ROUNDING))
        rest = AudioSlice(
            first.pcm[skipped * 2 :], first.rate, first.start_ms + skipped * 1000 / first.rate
        )
        if rest.pcm:
            self._unsent.appendleft(rest)
        self._sent_ms = rest.start_ms


def _heard_of(phrase: _Phrase, limit_ms: float) -> str:
    heard_ms = min(limit_ms - phrase.start_ms, phrase.length_ms)
    if heard_ms <= 0:
        return ""
    if phrase.complete and heard_ms >= phrase.length_ms - 1:
        return phrase.text
    if phrase.words:
        return _heard_words(phrase, heard_ms)
    words = phrase.text.split()
    length_ms = phrase.length_ms
    if not phrase.complete:
        length_ms = max(length_ms, len(phrase.text) * UNMARKED_MS_PER_CHAR)
    return " ".join(words[: int(len(words) * heard_ms / length_ms)])


def _heard_words(phrase: _Phrase, heard_ms: float) -> str:
    """A word is heard when the next has begun; the last one, when the phrase is over."""
    begun = [word for word in phrase.words if word.at_ms <= heard_ms]
    return phrase.text[: begun[-2].end] if len(begun) > 1 else ""
