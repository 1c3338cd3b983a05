"""One call's recording: from the caller's consent until it is withdrawn or the call is over.

Nothing here waits. What a call says and hears is put on its time line, and given to the writer a
second at a time; what the writer has no room for is lost, and counted in the recording.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Literal

from serve_app.archive.archive import Archive
from serve_app.archive.records import RATE, Begun, Ended, Line, Sound
from serve_app.archive.tracks import Tracks
from serve_app.archive.writer import RecordingFile
from serve_app.audio.pcm import duration_ms
from serve_app.audio.resample import Resampler
from serve_app.conversation import announcements as say
from serve_app.errors import PeerError


class Recorder:
    """Records nothing until `consent`; where there is no archive, nothing at all."""

    def __init__(
        self,
        archive: Archive | None = None,
        about: tuple[str, str, str] = ("", "", ""),
    ) -> None:
        """`about`: the call's id, its owner, its path."""
        self._archive = archive
        self._about = about
        self._taping: _Tape | None = None

    @property
    def offered(self) -> bool:
        """Whether calls may be recorded here."""
        return self._archive is not None

    def answer(self, given: bool, heard_ms: int) -> say.RecordingChanged:
        """The caller agrees, or no more, `heard_ms` into the call's audio. Saying it twice changes
        nothing. Raises PeerError where nothing is recorded here."""
        if given and self._archive is None:
            raise PeerError("recording_not_offered", "this server records no calls")
        if given and self._archive and not self._taping:
            self._taping = _Tape(self._archive, self._about, heard_ms)
        elif not given and self._taping:
            self._taping.discard()
            self._taping = None
        days = self._archive.settings.keep_days if self._archive and given else None
        return say.RecordingChanged(given, days)

    def caller(self, pcm: bytes) -> None:
        """The next of the caller's audio, PCM at 16 kHz."""
        if self._taping:
            self._taping.caller(pcm)

    def agent(self, pcm: bytes, rate: int) -> None:
        """The next of the agent's audio leaves, PCM at `rate`."""
        if self._taping:
            self._taping.agent(pcm, rate)

    def typed(self, text: str) -> None:
        """The caller has typed a turn."""
        if self._taping:
            self._taping.typed(text)

    def told(self, announcement: say.Announcement) -> None:
        """The client is told this."""
        if self._taping:
            self._taping.told(announcement)

    def close(self) -> None:
        """The call is over."""
        if self._taping:
            self._taping.end()
            self._taping = None


class _Tape:
    """One recording in progress."""

    def __init__(
        self,
        archive: Archive,
        about: tuple[str, str, str],
        heard_ms: float,
    ) -> None:
        self._archive = archive
        self._clock = asyncio.get_running_loop().time
        self._consented_ms = self._heard_ms = heard_ms
        self._tracks = Tracks(self._clock())
        self._resampler: Resampler | None = None
        self._replies: dict[str, int] = {}
        self._lost = 0
        call_id, owner, path = about
        begun = Begun(call_id, owner, path, archive.now())
        self._file = RecordingFile(archive.shelf.new_path(owner, begun.consented_at), archive.key)
        archive.writer.owe(partial(self._file.begin, begun))

    def caller(self, pcm: bytes) -> None:
        self._heard_ms += duration_ms(pcm, RATE)
        if self._keeps("audio"):
            now = self._clock()
            self._take(now)
            self._tracks.caller(pcm, now)

    def agent(self, pcm: bytes, rate: int) -> None:
        if self._keeps("audio"):
            now = self._clock()
            self._take(now)
            if self._resampler is None or self._resampler.source_rate != rate:
                self._resampler = Resampler(rate, RATE)
            self._tracks.agent(self._resampler.push(pcm), now)

    def typed(self, text: str) -> None:
        self._say(self._at_ms(), "caller", text)

    def told(self, announcement: say.Announcement) -> None:
        match announcement:
            case say.FinalTranscript(text=text, start_ms=start_ms):
                # A turn that began before the caller agreed is none of ours.
                if start_ms >= self._consented_ms:
                    ago_ms = round(self._heard_ms) - start_ms
                    self._say(max(0, self._at_ms() - ago_ms), "caller", text)
            case say.ReplyStarted(reply_id=reply_id):
                self._replies[reply_id] = self._at_ms()
            case say.ReplyFlushed():
                self._cut()
            case say.ReplyDone(reply_id=reply_id, status=status, heard=heard):
                if status == "interrupted":
                    self._cut()
                else:
                    self._run_out()
                at_ms = self._replies.pop(reply_id, None)
                if at_ms is not None:
                    self._say(at_ms, "agent", heard)
            case _:
                pass

    def discard(self) -> None:
        self._archive.writer.owe(self._file.discard)

    def end(self) -> None:
        rest = self._tracks.finish(self._clock())
        if rest is not None:
            self._put(rest)
        last = Ended(self._archive.now(), self._lost)
        self._archive.writer.owe(partial(self._file.end, last))

    def _say(self, at_ms: int, who: Literal["caller", "agent"], text: str) -> None:
        if self._keeps("transcript") and text:
            self._put(Line(at_ms, who, text))

    def _take(self, now: float) -> None:
        block = self._tracks.take(now)
        if block is not None:
            self._put(block)

    def _put(self, record: Sound | Line) -> None:
        if not self._archive.writer.offer(partial(self._file.write, record)):
            self._lost += 1

    def _cut(self) -> None:
        self._resampler = None
        self._tracks.cut(self._clock())

    def _run_out(self) -> None:
        """The reply was played: what the resampler holds back, 1 to 2 ms, was too."""
        if self._resampler is not None:
            self._tracks.agent(self._resampler.finish(), self._clock())
            self._resampler = None

    def _at_ms(self) -> int:
        return self._tracks.position(self._clock()) * 1000 // RATE

    def _keeps(self, what: Literal["audio", "transcript"]) -> bool:
        return what in self._archive.settings.keep
