"""A client's loudspeaker in virtual time, and what fills a playout and paces it."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployments.contracts import AudioChunk, SpokenWord
from serve_app.conversation.playout import AudioSlice, Playout
from tests.playbook import spoken_words

RATE = 16_000
MS = 0.001


@dataclass
class Player:
    """A client: what is sent arrives `latency` s later and plays at once, in order."""

    latency: float = 0.0
    dry_at: float = 0.0
    parts: list[tuple[float, float, float]] = field(default_factory=list)

    def receive(self, piece: AudioSlice, now: float) -> None:
        """A slice was sent now."""
        begin = max(now + self.latency, self.dry_at)
        self.dry_at = begin + len(piece.pcm) / 2 / piece.rate
        self.parts.append((begin, self.dry_at, piece.start_ms))

    def flush(self, now: float) -> None:
        """It was told now to drop what is queued."""
        cut = now + self.latency
        self.parts = [(b, min(e, cut), at) for b, e, at in self.parts if b < cut]
        self.dry_at = min(self.dry_at, cut)

    def played(self, now: float) -> float:
        """How far into the reply it has played."""
        ends = [at + (min(e, now) - b) * 1000 for b, e, at in self.parts if b < now]
        return max(ends, default=0.0)


def phrase(playout: Playout, text: str, word_ms: int = 200, *, marks: bool = True) -> None:
    """A phrase, spoken whole."""
    playout.begin_phrase(text)
    words = tuple(spoken_words(text, word_ms)) if marks else ()
    playout.push(silence(len(text.split()) * word_ms, words=words))
    playout.end_phrase()


def silence(ms: float, rate: int = RATE, words: tuple[SpokenWord, ...] = ()) -> AudioChunk:
    """`ms` of audio."""
    return AudioChunk(bytes(int(ms * rate / 1000) * 2), rate, words)


def drive(
    playout: Playout, now: float, until: float, player: Player | None = None
) -> list[AudioSlice]:
    """Take every piece the moment it may leave, up to a time."""
    taken: list[AudioSlice] = []
    while (at := playout.next_at(now)) is not None and at <= until:
        now = at
        piece = playout.take(now)
        assert piece is not None
        taken.append(piece)
        if player:
            player.receive(piece, now)
    return taken
