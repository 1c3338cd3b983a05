"""A client's audio messages → voice frames for the machine and windows of speech for STT."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from deployments.contracts import SPEECH_RATE
from serve_app.audio import g711
from serve_app.audio.codecs import new_decoder
from serve_app.audio.echo import EchoGuard
from serve_app.audio.level import STEP_MS, LevelTracker
from serve_app.audio.pcm import (
    BYTES_PER_SAMPLE,
    Samples,
    check_whole_samples,
    duration_ms,
    pcm_of_f32,
    to_float,
)
from serve_app.audio.recent import RecentAudio
from serve_app.audio.resample import Resampler
from serve_app.audio.vad import FRAME_MS, FRAME_SAMPLES, VoiceDetector
from serve_app.conversation.events import LevelDropped, LevelRose, VoiceFrame
from serve_app.dialects import AudioFormat, Codec
from serve_app.errors import PeerError

_FRAME_BYTES = FRAME_SAMPLES * BYTES_PER_SAMPLE
_SAMPLES_PER_MS = SPEECH_RATE // 1000
_SURELY_NO_VOICE = 0.2
"""Well below every threshold at which a frame counts as voice, or still does."""

EarEvent: TypeAlias = VoiceFrame | LevelDropped | LevelRose


class Uplink:
    """One call's ear. Call time is the count of its samples at 16 kHz, not a clock.

    `keep_ms` of audio stay readable; memory is fixed by it. A PCM16 message of more than
    `max_message_ms` is refused, as it would hold the event loop for long: 30 s of audio take
    0.1 to 0.3 s. How messages are cut changes nothing, so a caller may split long ones.
    With `echo` the agent's own voice is no voice; with `level` drops of the level are told too.

    `patience` frames are judged together where the caller is silent and nothing hangs on the next
    frame alone: after a wait the network's memory is no longer in the processor's caches, so that
    the second and third frame cost a third of the first. No decision comes later for it if no
    fewer frames of voice are needed to begin a turn.
    """

    def __init__(
        self,
        format: AudioFormat,
        vad: VoiceDetector,
        keep_ms: int,
        *,
        max_message_ms: int = 30_000,
        echo: EchoGuard | None = None,
        level: LevelTracker | None = None,
        patience: int = 1,
    ) -> None:
        self._format: AudioFormat = format
        self._max_message_ms = max_message_ms
        self._decode = _decoder(format, max_message_ms)
        self._vad = vad
        self._echo = echo
        self._level = level
        self._recent = RecentAudio(keep_ms * _SAMPLES_PER_MS)
        self._unframed = bytearray()
        self._framed_ms = 0
        self._patience = patience
        self._silent = False

    def accept(self, payload: bytes, *, in_turn: bool = True) -> list[EarEvent]:
        """Take one message; the frames that are due and the drops it shows, in order.

        `in_turn`: every frame is due.

        Raises PeerError, with nothing of the message taken in: `invalid_audio` (an odd number
        of PCM bytes, a bad Opus packet; the call goes on) or `message_too_big` (close 1009).
        """
        pcm = self._decode(payload)
        self._recent.append(pcm)
        self._unframed += pcm
        least = 1 if in_turn or not self._silent else self._patience
        events: list[EarEvent] = [*self._detect(least)]
        if self._level:
            events += self._level.push(pcm)
            events.sort(key=_known_ms)
        return events

    def use(self, format: AudioFormat) -> None:
        """The messages that follow are in another format."""
        if format != self._format:
            self._format = format
            self._decode = _decoder(format, self._max_message_ms)

    def overhear(self, pcm: bytes, rate: int) -> None:
        """Reply audio (int16 mono PCM) leaves now; its echo in the caller's is no voice."""
        if self._echo:
            self._echo.play(pcm, rate, len(self._unframed) // BYTES_PER_SAMPLE)

    def recall_overheard(self) -> None:
        """What of it was not heard yet never will be."""
        if self._echo:
            self._echo.recall()

    @property
    def received_ms(self) -> int:
        """Length of the call's audio so far, in whole ms."""
        return self._recent.end // _SAMPLES_PER_MS

    @property
    def oldest_ms(self) -> int:
        """Call time of the oldest audio kept: an earlier window begins here instead."""
        return -(-self._recent.start // _SAMPLES_PER_MS)

    def window(self, start_ms: int, end_ms: int) -> bytes:
        """The call's audio between two call times, as far as it is kept: PCM at 16 kHz."""
        start_ms = max(start_ms, self.oldest_ms)
        return self._recent.read(start_ms * _SAMPLES_PER_MS, end_ms * _SAMPLES_PER_MS)

    def _detect(self, least: int) -> list[VoiceFrame]:
        """The whole frames there are, if they are at least so many."""
        count = len(self._unframed) // _FRAME_BYTES
        if count < least:
            return []
        samples = to_float(self._unframed[: count * _FRAME_BYTES]).reshape(-1, FRAME_SAMPLES)
        del self._unframed[: count * _FRAME_BYTES]
        return [self._judge(frame) for frame in samples]

    def _judge(self, frame: Samples) -> VoiceFrame:
        self._framed_ms += FRAME_MS
        probability = self._vad.push(frame)
        if self._echo:
            probability = self._echo.judge(frame, probability)
        self._silent = probability < _SURELY_NO_VOICE
        return VoiceFrame(probability, self._framed_ms)


def _known_ms(event: EarEvent) -> int:
    """How much of the call must be heard to know it."""
    match event:
        case VoiceFrame(end_ms=end_ms):
            return end_ms
        case LevelDropped(heard_ms=heard_ms):
            return heard_ms
        case LevelRose(at_ms=at_ms):
            return at_ms + STEP_MS


def _decoder(format: AudioFormat, max_message_ms: int) -> Callable[[bytes], bytes]:
    """A message of `format` → PCM at 16 kHz. Opus packets carry their own bounds."""
    if format.codec == "opus":
        return new_decoder().decode
    to_pcm, rate = _to_pcm(format.codec), format.rate
    if rate is None:
        raise ValueError(f"{format.codec} from a client needs a sample rate")
    resampler = Resampler(rate, SPEECH_RATE)

    def decode(payload: bytes) -> bytes:
        payload = to_pcm(payload)
        if duration_ms(payload, rate) > max_message_ms:
            raise PeerError(
                "message_too_big",
                f"One message may carry at most {max_message_ms / 1000:g} s of audio.",
                close_code=1009,
            )
        return resampler.push(payload)

    return decode


def _to_pcm(codec: Codec) -> Callable[[bytes], bytes]:
    match codec:
        case "f32":
            return pcm_of_f32
        case "mulaw" | "alaw":
            return partial(g711.decode, codec)
        case _:
            return check_whole_samples
