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
from serve_app.audio.vad_batch import VadBatch
from serve_app.conversation.endpointing import ONE_BY_ONE, FramesTogether
from serve_app.conversation.events import LevelDropped, LevelRose, VoiceFrame
from serve_app.dialects import AudioFormat, Codec
from serve_app.errors import PeerError

_FRAME_BYTES = FRAME_SAMPLES * BYTES_PER_SAMPLE
_SAMPLES_PER_MS = SPEECH_RATE // 1000
_SURELY_NO_VOICE = 0.2
"""Well below every threshold at which a frame counts as voice, or still does."""
_SURELY_VOICE = 0.8
"""Above all usual ones. With a threshold above it a pause may be known one frame later."""

EarEvent: TypeAlias = VoiceFrame | LevelDropped | LevelRose


class Uplink:
    """One call's ear. Call time is the count of its samples at 16 kHz, not a clock.

    `keep_ms` of audio stay readable; memory is fixed by it. A PCM16 message of more than
    `max_message_ms` is refused, as it would hold the event loop for long: 30 s of audio take
    0.1 to 0.3 s. How messages are cut changes nothing, so a caller may split long ones.
    `hear` is given all that is taken in, at 16 kHz.
    With `echo` the agent's own voice is no voice; with `level` drops of the level are told too.

    Frames wait for each other where the conversation allows it (`FramesTogether`), and for the
    other calls of their `batch`: judging several at once costs little more than judging one.
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
        batch: VadBatch | None = None,
        hear: Callable[[bytes], None] | None = None,
    ) -> None:
        self._hear = hear
        self._format: AudioFormat = format
        self._max_message_ms = max_message_ms
        self._decode = _decoder(format, max_message_ms)
        self._vad = (batch or VadBatch()).join(vad)
        self._echo = echo
        self._level = level
        self._recent = RecentAudio(keep_ms * _SAMPLES_PER_MS)
        self._unframed = bytearray()
        self._frames: list[Samples] = []
        """Heard, and not judged."""
        self._framed_ms = 0
        self._probability = 0.5

    def accept(self, payload: bytes, together: FramesTogether = ONE_BY_ONE) -> list[EarEvent]:
        """Take one message; the frames that are due and the drops it shows, in order.

        `together`: how many frames may wait for each other now.

        Raises PeerError, with nothing of the message taken in: `invalid_audio` (an odd number
        of PCM bytes, a bad Opus packet; the call goes on) or `message_too_big` (close 1009).
        """
        pcm = self._decode(payload)
        self._recent.append(pcm)
        if self._hear:
            self._hear(pcm)
        self._unframed += pcm
        self._cut_frames()
        drops = self._level.push(pcm) if self._level else []
        if not drops and len(self._frames) < self._least(together):
            return []
        return sorted([*self.judge_waiting(), *drops], key=_known_ms)

    def judge_waiting(self) -> list[VoiceFrame]:
        """The frames that waited for others, in order: they are due now."""
        if not self._frames:
            return []
        frames, self._frames = self._frames, []
        return [self._told(frame, p) for frame, p in zip(frames, self._vad.judge(), strict=True)]

    def close(self) -> None:
        """The call is over: forget its audio, 4 MB, whoever still holds this.

        What holds itself waits for the collector, which with Serve's settings comes after many
        calls.
        """
        self._recent.clear()

    def use(self, format: AudioFormat) -> None:
        """The messages that follow are in another format."""
        if format != self._format:
            self._format = format
            self._decode = _decoder(format, self._max_message_ms)

    def overhear(self, pcm: bytes, rate: int) -> None:
        """Reply audio (int16 mono PCM) leaves now; its echo in the caller's is no voice."""
        if self._echo:
            unjudged = len(self._frames) * FRAME_SAMPLES + len(self._unframed) // BYTES_PER_SAMPLE
            self._echo.play(pcm, rate, unjudged)

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

    def _cut_frames(self) -> None:
        count = len(self._unframed) // _FRAME_BYTES
        if count:
            samples = to_float(self._unframed[: count * _FRAME_BYTES]).reshape(-1, FRAME_SAMPLES)
            del self._unframed[: count * _FRAME_BYTES]
            for frame in samples:
                self._frames.append(frame)
                self._vad.hear(frame)

    def _least(self, together: FramesTogether) -> int:
        """How many frames make it worth while to judge them."""
        if self._probability < _SURELY_NO_VOICE:
            return together.silent
        return together.voiced if self._probability > _SURELY_VOICE else 1

    def _told(self, frame: Samples, probability: float) -> VoiceFrame:
        self._framed_ms += FRAME_MS
        if self._echo:
            probability = self._echo.judge(frame, probability)
        self._probability = probability
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
