"""Speech → the packets a client asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from serve_app.audio import g711
from serve_app.audio.codecs import LOOKAHEAD_MS, PACKET_MS, new_encoder
from serve_app.audio.pcm import BYTES_PER_SAMPLE, duration_ms, f32_of_pcm
from serve_app.audio.resample import Resampler
from serve_app.dialects import AudioFormat, Codec

_OPUS_RATE = 24_000


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a reply: samples as the format has them, or one Opus packet; `rate` in Hz."""

    rate: int
    payload: bytes
    duration_ms: float


class Downlink:
    """One call's replies on their way out, one reply at a time.

    Samples keep the voice's own rate where the format names none. Opus (24 kHz where the format
    names no rate) is cut into packets of 20 ms; the rest waits for more audio or for `finish`.
    `overhear` is given all that is encoded: PCM and its rate.
    """

    def __init__(
        self, format: AudioFormat, overhear: Callable[[bytes, int], None] | None = None
    ) -> None:
        self._overhear = overhear
        self._codec: Codec = format.codec
        self._opus = format.codec == "opus"
        self._rate = format.rate or (_OPUS_RATE if self._opus else None)
        self._resampler: Resampler | None = None
        self._packer = self._new_packer()

    def encode(self, pcm: bytes, rate: int) -> list[Packet]:
        """The packets that the reply's next audio (int16 mono PCM at `rate` Hz) completes."""
        if self._overhear:
            self._overhear(pcm, rate)
        target = self._rate or rate
        packets: list[Packet] = []
        if self._resampler is None or self._resampler.source_rate != rate:
            packets += self._drain_resampler()
            self._resampler = Resampler(rate, target)
        return packets + self._packer.push(self._resampler.push(pcm), target)

    def finish(self) -> list[Packet]:
        """The reply's last packets, padded with silence; the next `encode` begins another."""
        packets = self._drain_resampler() + self._packer.finish()
        self.reset()
        return packets

    def reset(self) -> None:
        """Forget the reply at once: nothing of it can sound in the next one."""
        self._resampler = None
        self._packer = self._new_packer()

    def _drain_resampler(self) -> list[Packet]:
        if self._resampler is None:
            return []
        return self._packer.push(self._resampler.finish(), self._resampler.target_rate)

    def _new_packer(self) -> _PcmPacker | _OpusPacker:
        if self._opus:
            return _OpusPacker(self._rate or _OPUS_RATE)
        return _PcmPacker(_from_pcm(self._codec))


class _PcmPacker:
    """Each piece is a packet."""

    def __init__(self, encode: Callable[[bytes], bytes]) -> None:
        self._encode = encode

    def push(self, pcm: bytes, rate: int) -> list[Packet]:
        return [Packet(rate, self._encode(pcm), duration_ms(pcm, rate))] if pcm else []

    def finish(self) -> list[Packet]:
        return []


class _OpusPacker:
    """One reply's encoder and what of the reply does not fill a packet yet."""

    def __init__(self, rate: int) -> None:
        self._encoder = new_encoder(rate)
        self._rate = rate
        self._frame_bytes = rate * PACKET_MS // 1000 * BYTES_PER_SAMPLE
        self._rest = b""
        self._begun = False

    def push(self, pcm: bytes, rate: int) -> list[Packet]:
        assert rate == self._rate
        self._begun = self._begun or bool(pcm)
        pcm = self._rest + pcm
        whole = len(pcm) // self._frame_bytes * self._frame_bytes
        self._rest = pcm[whole:]
        return [
            Packet(rate, self._encoder.encode(pcm[at : at + self._frame_bytes]), PACKET_MS)
            for at in range(0, whole, self._frame_bytes)
        ]

    def finish(self) -> list[Packet]:
        if not self._begun:
            return []
        # The reply's last sound leaves the client's decoder a look-ahead later than it went in.
        lookahead = int(self._rate * LOOKAHEAD_MS / 1000) * BYTES_PER_SAMPLE
        missing = -(len(self._rest) + lookahead) % self._frame_bytes
        return self.push(bytes(lookahead + missing), self._rate)


def _from_pcm(codec: Codec) -> Callable[[bytes], bytes]:
    match codec:
        case "f32":
            return f32_of_pcm
        case "mulaw" | "alaw":
            return partial(g711.encode, codec)
        case _:
            return bytes
