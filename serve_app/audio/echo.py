"""Whether what the caller's microphone hears is the agent: for clients that cancel no echo.

The reply's audio is kept at the time of the call it was sent for. A frame that the detector takes
for voice is compared with it: the last 128 ms are the agent's own if one delay of the reply, with
a few early reflections, explains most of their energy. A caller who speaks over the echo adds
energy that nothing explains, so that frame stays voice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve_app.audio.pcm import BYTES_PER_SAMPLE, Samples, to_float
from serve_app.audio.resample import Resampler
from serve_app.audio.vad import FRAME_SAMPLES

LONGEST_DELAY_MS = 400
"""From the moment a sample is due at the caller's loudspeaker until it may come back."""

_RATE = 8_000
"""Everything is compared at half the rate, which halves the work and loses no vowel."""
_FRAME = FRAME_SAMPLES // 2
_WINDOW = 4 * _FRAME
_REACH = LONGEST_DELAY_MS * _RATE // 1000
_HALF_BAND = (np.sinc(np.arange(-11, 12) / 2) * np.hamming(23) / 2).astype(np.float32)
"""Takes out what half the rate cannot hold."""
_FFT = 4320
"""Longer than `_WINDOW + _REACH`, so nothing wraps around; a product of small primes."""
_TAPS_BEFORE, _TAPS = 6, 32
"""Reflections up to 3 ms after the strongest path count as the same echo."""
_KEEP = 2 * _RATE
_WORTH_A_LOOK = 0.2
"""Less likely voice needs no judging: it opens no turn."""
_SAME_DELAY = _RATE * 4 // 1000
_TRUSTED_HITS = 6
_EXPLAINED_ANEW, _EXPLAINED = 0.6, 0.35
"""Shares of the energy: at any delay, and at one that has proved right."""
_TOEPLITZ = np.abs(np.subtract.outer(np.arange(_TAPS), np.arange(_TAPS)))
_HOPELESS = 0.15
"""A share so small that reflections cannot make it enough."""
_RIDGE = 1e-2
"""Keeps the filter small where the reference is almost a tone."""
_SILENT = 1e-9


@dataclass(frozen=True, slots=True)
class _Piece:
    """Reply audio that nothing was compared with yet; times in samples of the comparison."""

    start: float
    end: float
    pcm: bytes
    rate: int


class EchoGuard:
    """One call's echo. Its clock is the caller's audio: 512 samples a `judge`.

    Reply audio is resampled only once a frame has to be compared with it.
    """

    def __init__(self) -> None:
        self._heard = np.zeros(2 * _WINDOW, np.float32)
        self._played = np.zeros(_KEEP, np.float32)
        self._now = 0
        self._played_end = 0.0
        self._pieces: deque[_Piece] = deque()
        self._placed_end = 0.0
        self._written = 0
        self._resampler: Resampler | None = None
        self._delay = 0
        self._hits = 0

    def play(self, pcm: bytes, rate: int, unjudged: int = 0) -> None:
        """Reply audio (int16 mono PCM) leaves: it is heard after what left before, or now.

        `unjudged`: samples of the caller's that came and still wait for `judge`.
        """
        start = max(self._now + unjudged // 2, self._played_end)
        self._played_end = start + len(pcm) / BYTES_PER_SAMPLE * _RATE / rate
        self._pieces.append(_Piece(start, self._played_end, pcm, rate))
        while self._pieces[0].end < self._now - _REACH - _WINDOW:
            self._pieces.popleft()

    def recall(self) -> None:
        """Nothing that has left and is still to be heard counts any more."""
        self._place_all()
        self._resampler = None
        self._played_end = self._placed_end = min(self._played_end, self._now)

    def judge(self, frame: Samples, probability: float) -> float:
        """The probability of the caller's voice in the next 512 samples, where `probability` is
        that of any voice: 0 if the agent's own explains them, else the same."""
        self._heard[:-FRAME_SAMPLES] = self._heard[FRAME_SAMPLES:]
        self._heard[-FRAME_SAMPLES:] = frame
        self._now += _FRAME
        if probability < _WORTH_A_LOOK or self._now - self._played_end > _REACH + _WINDOW:
            return probability
        self._place_all()
        return 0.0 if self._is_echo() else probability

    def _place_all(self) -> None:
        """What has left since the last comparison, at the comparison's rate."""
        for piece in self._pieces:
            goes_on = piece.start == self._placed_end
            if self._resampler is None or self._resampler.source_rate != piece.rate or not goes_on:
                self._resampler = Resampler(piece.rate, _RATE)
                gap = min(max(0, int(piece.start) - self._written), _KEEP)
                self._place(self._written, np.zeros(gap, np.float32))
                self._written = int(piece.start)
            samples = to_float(self._resampler.push(piece.pcm))
            self._place(self._written, samples)
            self._written += len(samples)
            self._placed_end = piece.end
        self._pieces.clear()

    def _place(self, start: int, samples: Samples) -> None:
        """Into the ring, at `start` of the call."""
        for at in range(0, len(samples), _KEEP):
            piece = samples[at : at + _KEEP]
            first = (start + at) % _KEEP
            head = min(len(piece), _KEEP - first)
            self._played[first : first + head] = piece[:head]
            self._played[: len(piece) - head] = piece[head:]

    def _recent(self, samples: int) -> Samples:
        """What was due at the loudspeaker up to now; not yet sent, or long gone, is silence."""
        start = self._now - samples
        recent = np.take(self._played, np.arange(start, self._now), mode="wrap")
        unsent = self._now - int(self._played_end)
        if unsent > 0:
            recent[max(0, samples - unsent) :] = 0
        return recent

    def _is_echo(self) -> bool:
        reference = self._recent(_WINDOW + _REACH)
        heard = np.convolve(self._heard, _HALF_BAND, "same")[::2]
        lag, share = _explained(heard, reference)
        delay = _REACH - lag
        same = abs(delay - self._delay) <= _SAME_DELAY
        trusted = same and self._hits >= _TRUSTED_HITS
        if share < (_EXPLAINED if trusted else _EXPLAINED_ANEW):
            return False
        self._hits = self._hits + 1 if same else 1
        self._delay = delay
        return True


def _explained(heard: Samples, reference: Samples) -> tuple[int, float]:
    """Where in `reference` the heard samples fit best, and the share of energy that explains."""
    energy = float(np.dot(heard, heard))
    energies = _energies(reference)
    loudest = float(energies.max())
    if energy < _SILENT or loudest < _SILENT:
        return 0, 0.0
    spectrum = np.fft.rfft(reference, _FFT) * np.conj(np.fft.rfft(heard, _FFT))
    products = np.fft.irfft(spectrum, _FFT)[: _REACH + 1]
    # Almost silent stretches fit anything: they may not win.
    shares = np.square(products) / (energy * np.maximum(energies, loudest / 1000))
    lag = int(np.argmax(shares))
    share = float(shares[lag])
    if share >= _HOPELESS:
        share = max(share, _with_reflections(reference, products, lag) / energy)
    return lag, min(share, 1.0)


def _energies(reference: Samples) -> NDArray[np.float64]:
    """Energy of the window that starts at each lag."""
    summed = np.concatenate(([0.0], np.cumsum(np.square(reference), dtype=np.float64)))
    return summed[_WINDOW:] - summed[:-_WINDOW]


def _with_reflections(reference: Samples, products: NDArray[np.floating], lag: int) -> float:
    """The energy that a short filter over the reference around `lag` explains.

    Least squares from correlations, with the reference taken for silent outside its window: then
    one row of the normal equations gives them all, and they always have a solution.
    """
    first = min(max(lag - _TAPS + _TAPS_BEFORE, 0), _REACH + 1 - _TAPS)
    # One sample's delay is one lag less.
    wanted = products[first : first + _TAPS]
    aligned = reference[lag : lag + _WINDOW]
    padded = np.concatenate((aligned, np.zeros(_TAPS - 1, np.float32)))
    row = np.correlate(padded, aligned, "valid")
    row[0] *= 1 + _RIDGE
    gram = row[_TOEPLITZ]
    return float(np.dot(wanted, np.linalg.solve(gram, wanted)))
