"""What of the replies a loudspeaker has played, told by the clock. Pure.

It plays audio as soon as it comes, one stretch after the other. `now` is in seconds of the
clock that the caller chose; positions are milliseconds into a reply's audio.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from clients.loudness import first_audible


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples that play from `at` (seconds) on: int16 mono, `from_ms` into their reply."""

    reply_id: str
    from_ms: float
    at: float
    pcm: bytes
    rate: int

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.pcm) / 2 / self.rate

    @property
    def ends_at(self) -> float:
        """When its last sample has been played."""
        return self.at + self.seconds


class Playback:
    """A loudspeaker's queue, and what came out of it."""

    def __init__(self) -> None:
        """Nothing is queued, nothing was played."""
        self.underruns = 0
        """How often a reply's audio ran out before more of it came."""
        self.audible_at: dict[str, float] = {}
        """When each reply's first audible sample plays, in seconds of the clock."""
        self._stretches: list[Stretch] = []
        self._reply_id = ""
        self._next_ms = 0.0
        self._may_run_dry = True
        self._flushed = False

    def start(self, reply_id: str) -> None:
        """The audio that follows is this reply's, from its beginning."""
        self._begin(reply_id, 0.0)

    def resume(self, reply_id: str, from_ms: float) -> None:
        """The audio that follows starts `from_ms` into this reply, which was flushed."""
        self._begin(reply_id, from_ms)

    def add(self, pcm: bytes, rate: int, now: float) -> None:
        """The next int16 mono samples; those of a flushed reply are dropped."""
        if self._flushed or not pcm:
            return
        if now > self.drained_at and not self._may_run_dry:
            self.underruns += 1
        at = max(now, self.drained_at)
        stretch = Stretch(self._reply_id, self._next_ms, at, pcm, rate)
        self._stretches.append(stretch)
        self._next_ms += stretch.seconds * 1000
        self._may_run_dry = False
        if self._reply_id not in self.audible_at:
            self._look_for_sound(stretch)

    def flush(self, now: float) -> float:
        """Drop what is queued; returns how many ms of the reply were played."""
        self._stretches = [_cut(one, now) for one in self._stretches if one.at < now]
        self._flushed = True
        return self.played_ms(now)

    def played_ms(self, now: float) -> float:
        """How much of the reply has been played: never more than was received."""
        for last in reversed(self._stretches):
            if last.reply_id != self._reply_id:
                break
            if last.at <= now:
                return last.from_ms + min(now - last.at, last.seconds) * 1000
        return 0.0

    @property
    def reply_id(self) -> str:
        """The reply that is played now, or was last; empty before the first."""
        return self._reply_id

    @property
    def drained_at(self) -> float:
        """When the queue runs out, in seconds of the clock."""
        return self._stretches[-1].ends_at if self._stretches else 0.0

    def played(self, now: float) -> list[Stretch]:
        """All that came out of the loudspeaker until now."""
        return [_cut(one, now) for one in self._stretches if one.at < now]

    def _begin(self, reply_id: str, from_ms: float) -> None:
        self._reply_id = reply_id
        self._next_ms = from_ms
        self._may_run_dry = True
        self._flushed = False

    def _look_for_sound(self, stretch: Stretch) -> None:
        sample = first_audible(stretch.pcm)
        if sample is not None:
            self.audible_at[stretch.reply_id] = stretch.at + sample / stretch.rate


def _cut(stretch: Stretch, now: float) -> Stretch:
    samples = max(0, int((now - stretch.at) * stretch.rate))
    return replace(stretch, pcm=stretch.pcm[: samples * 2])
