"""A long recording → windows of speech that a recogniser takes, cut where nobody speaks.

The file is decoded as its windows are asked for: in memory are the file and one window, however
long the sound is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deployments.contracts import SPEECH_RATE
from serve_app.audio.decoding import Undecodable, declared_s, decoded
from serve_app.audio.pcm import BYTES_PER_SAMPLE, to_float
from serve_app.audio.vad import FRAME_MS, FRAME_SAMPLES, SileroVad, VoiceDetector
from serve_app.errors import PeerError

_FRAME_BYTES = FRAME_SAMPLES * BYTES_PER_SAMPLE


@dataclass(frozen=True, slots=True)
class CutPolicy:
    """Where windows end, in frames of 32 ms.

    A window that has `wanted` frames ends with the next pause of `pause`; any ends with one of
    `long_pause`, and where it is quietest once it has `longest`. `padding` frames of silence stay
    at either end.
    """

    wanted: int = 10_000 // FRAME_MS
    longest: int = 20_000 // FRAME_MS
    pause: int = 320 // FRAME_MS
    long_pause: int = 2_000 // FRAME_MS
    padding: int = 256 // FRAME_MS
    speech: float = 0.35


@dataclass(frozen=True, slots=True)
class SpeechPiece:
    """A stretch with speech in it: PCM at 16 kHz, that begins `start_ms` into the recording."""

    start_ms: int
    pcm: bytes


class SpeechFile:
    """One recording, read once. Not to be used by two threads at a time; its methods block."""

    def __init__(self, data: bytes, max_s: float, vad: VoiceDetector | None = None) -> None:
        """Raises PeerError: it cannot be decoded, or says that it is longer than `max_s`."""
        self._max_s = max_s
        self.seconds = 0.0
        """How much of it was read."""
        try:
            said_s = declared_s(data)
        except Undecodable as error:
            raise _undecodable(error) from error
        if said_s is not None and said_s > max_s:
            raise self._too_long()
        self._frames = self._read(data, vad or SileroVad())
        self._cutter = SpeechCutter(CutPolicy())

    def next_window(self) -> SpeechPiece | None:
        """The next stretch of speech, read from the file now; None at its end. Raises PeerError."""
        for pcm, probability in self._frames:
            piece = self._cutter.push(pcm, probability)
            if piece is not None:
                return piece
        return self._cutter.finish()

    def _read(self, data: bytes, vad: VoiceDetector) -> Iterator[tuple[bytes, float]]:
        rest = bytearray()
        try:
            for pcm, _ in decoded(data, SPEECH_RATE):
                self.seconds += len(pcm) / BYTES_PER_SAMPLE / SPEECH_RATE
                if self.seconds > self._max_s:
                    raise self._too_long()
                rest += pcm
                whole = len(rest) // _FRAME_BYTES * _FRAME_BYTES
                for at in range(0, whole, _FRAME_BYTES):
                    frame = bytes(rest[at : at + _FRAME_BYTES])
                    yield frame, vad.push(to_float(frame))
                del rest[:whole]
        except Undecodable as error:
            raise _undecodable(error) from error
        if rest:
            frame = bytes(rest).ljust(_FRAME_BYTES, b"\0")
            yield frame, vad.push(to_float(frame))

    def _too_long(self) -> PeerError:
        text = f"file: a recording may be {self._max_s:g} s long"
        return PeerError("audio_too_long", text, status=413, param="file")


class SpeechCutter:
    """Frames of 32 ms → windows. Pure; a window is told once the frame that ends it is there."""

    def __init__(self, policy: CutPolicy) -> None:
        self._policy = policy
        self._frames: list[tuple[bytes, float]] = []
        self._start = 0
        self._spoken = False
        self._silent = 0

    def push(self, pcm: bytes, probability: float) -> SpeechPiece | None:
        """The window that this frame ends, if it does."""
        policy = self._policy
        self._frames.append((pcm, probability))
        if probability >= policy.speech:
            self._spoken, self._silent = True, 0
            if len(self._frames) >= policy.longest:
                return self._cut(self._quietest())
            return None
        self._silent += 1
        if not self._spoken:
            self._drop(len(self._frames) - policy.padding)
            return None
        ends = self._silent >= policy.long_pause or (
            self._silent >= policy.pause and len(self._frames) >= policy.wanted
        )
        if ends or len(self._frames) >= policy.longest:
            return self._cut(len(self._frames))
        return None

    def finish(self) -> SpeechPiece | None:
        """What is left at the end, if somebody speaks in it."""
        return self._cut(len(self._frames)) if self._spoken else None

    def _cut(self, end: int) -> SpeechPiece:
        """The frames up to `end`, without the silence that is too much at their end."""
        policy = self._policy
        spoken = [at for at in range(end) if self._frames[at][1] >= policy.speech]
        last = spoken[-1] + 1 if spoken else 0
        kept = min(end, last + policy.padding)
        pcm = b"".join(frame for frame, _ in self._frames[:kept])
        piece = SpeechPiece(self._start * FRAME_MS, pcm)
        self._drop(kept)
        self._spoken = any(probability >= policy.speech for _, probability in self._frames)
        return piece

    def _quietest(self) -> int:
        """Behind the frame of the window's second half that sounds least like speech."""
        latter = reversed(range(len(self._frames) // 2, len(self._frames)))
        return min(latter, key=lambda at: self._frames[at][1]) + 1

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._frames[:count]
            self._start += count


def _undecodable(error: Undecodable) -> PeerError:
    return PeerError("audio_undecodable", f"file: it cannot be read: {error}", param="file")
