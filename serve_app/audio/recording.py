"""A recording that somebody gives for a voice: decoded within bounds, and checked for its use.

Any common file comes in, mono int16 of 24 kHz goes out.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deployments.contracts import SPEECH_RATE
from serve_app.audio.decoding import Undecodable, decoded
from serve_app.audio.pcm import BYTES_PER_SAMPLE, level_dbfs, to_float
from serve_app.audio.resample import resample_all
from serve_app.audio.vad import FRAME_MS, FRAME_SAMPLES, SileroVad
from serve_app.errors import PeerError

RATE = 24_000
"""Sample rate of what a voice is made from, in Hz."""

QUIETEST_DBFS = -40.0
"""Level of the loud parts; speech into a usual microphone is at -30 to -15."""
MOST_CLIPPED = 0.01
"""Share of samples at full scale: more is heard, and would be learnt as part of the voice."""
LEAST_SPEECH = 0.5
"""Share of the shortest recording that must be speech."""

_FULL_SCALE = 32_700
_LOUD_PERCENTILE = 90
_SPEECH = 0.5


@dataclass(frozen=True, slots=True)
class Measures:
    """What a recording is like. `level_dbfs` of its loud parts, `clipped` as a share."""

    seconds: float
    level_dbfs: float
    clipped: float
    speech_s: float


def read_recording(data: bytes, min_s: float, max_s: float) -> bytes:
    """A wav file, mono int16 of 24 kHz, of a file's sound, if a voice can be made from it.

    Takes some 100 ms of one core for the longest. Raises PeerError, whose code says what is wrong.
    """
    pcm, rate = decode(data, max_s)
    fault = fault_of(measure(pcm, rate), min_s, max_s)
    if fault is not None:
        raise fault
    return _wav(resample_all(pcm, rate, RATE))


def decode(data: bytes, max_s: float) -> tuple[bytes, int]:
    """A file's first audio stream, as mono int16 PCM of its own rate, and that rate.

    Raises PeerError: it cannot be decoded, or is longer than `max_s`; nothing is decoded past that.
    """
    pcm = bytearray()
    rate = 0
    try:
        for piece, rate in decoded(data):
            pcm += piece
            if len(pcm) > (max_s + 1) * rate * BYTES_PER_SAMPLE:
                raise PeerError("recording_too_long", f"a recording is at most {max_s:g} s")
    except Undecodable as error:
        raise _undecodable(error) from error
    if not pcm:
        raise _undecodable("it holds no sound")
    return bytes(pcm), rate


def measure(pcm: bytes, rate: int) -> Measures:
    """What a recording is like; `rate` of the PCM in Hz."""
    samples = np.frombuffer(pcm, "<i2")
    clipped = np.abs(samples.astype(np.int32)) >= _FULL_SCALE
    frames = list(_frames(resample_all(pcm, rate, SPEECH_RATE)))
    vad = SileroVad()
    speech = sum(vad.push(frame) >= _SPEECH for frame in frames)
    levels = [level_dbfs(frame) for frame in frames]
    return Measures(
        seconds=len(samples) / rate,
        level_dbfs=float(np.percentile(levels, _LOUD_PERCENTILE)) if levels else -96.0,
        clipped=float(clipped.mean()) if len(samples) else 0.0,
        speech_s=speech * FRAME_MS / 1000,
    )


def fault_of(recording: Measures, min_s: float, max_s: float) -> PeerError | None:
    """Why no voice can be made from a recording, in words that help; None if one can."""
    seconds = recording.seconds
    if seconds < min_s:
        text = f"the recording is {seconds:.1f} s long; {min_s:g} s are needed"
        return PeerError("recording_too_short", text)
    if seconds > max_s:
        text = f"the recording is {seconds:.1f} s long; {max_s:g} s are the most"
        return PeerError("recording_too_long", text)
    if recording.level_dbfs < QUIETEST_DBFS:
        text = f"the recording is too quiet ({recording.level_dbfs:.0f} dBFS): speak closer"
        return PeerError("recording_too_quiet", text)
    if recording.clipped > MOST_CLIPPED:
        text = f"{recording.clipped:.0%} of the recording is clipped: lower the microphone's gain"
        return PeerError("recording_clipped", text)
    if recording.speech_s < min_s * LEAST_SPEECH:
        text = f"only {recording.speech_s:.1f} s of the recording sound like speech"
        return PeerError("recording_without_speech", text)
    return None


def _frames(pcm: bytes) -> Iterator[np.ndarray[tuple[int], np.dtype[np.float32]]]:
    samples = to_float(pcm)
    for start in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        yield samples[start : start + FRAME_SAMPLES]


def _undecodable(why: object) -> PeerError:
    return PeerError("recording_undecodable", f"the recording cannot be read: {why}")


def _wav(pcm: bytes) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(RATE)
        file.writeframes(pcm)
    return out.getvalue()
