"""serve_app.audio.recording"""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.audio.recording import (
    LEAST_SPEECH,
    MOST_CLIPPED,
    QUIETEST_DBFS,
    RATE,
    Measures,
    decode,
    fault_of,
    read_recording,
)
from serve_app.audio.resample import pcm_frame, resample_all
from serve_app.errors import PeerError
from tests.recordings import tone_wav

MIN_S, MAX_S = 3.0, 20.0
GOOD = Measures(seconds=5.0, level_dbfs=-20.0, clipped=0.0, speech_s=4.0)
FORMATS = [
    ("wav", "pcm_s16le", 44_100),
    ("wav", "pcm_mulaw", 8_000),
    ("mp3", "libmp3lame", 44_100),
    ("flac", "flac", 48_000),
    ("ogg", "libopus", 48_000),
    ("webm", "libopus", 48_000),
    ("mp4", "aac", 44_100),
]


def wav(pcm: bytes, rate: int = 16_000) -> bytes:
    """A wav file of mono PCM."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return out.getvalue()


def encoded(pcm: bytes, form: str, codec: str, rate: int) -> bytes:
    """A file of mono PCM of 16 kHz in some format."""
    out = io.BytesIO()
    with av.open(out, "w", format=form) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(stream.format, "mono", rate, frame_size=stream.frame_size)  # type: ignore[union-attr]
        frame = pcm_frame(pcm, 16_000)
        for given_ in [*resampler.resample(frame), *resampler.resample(None), None]:
            file.mux(stream.encode(given_))  # type: ignore[arg-type]
    return out.getvalue()


def code_of(data: bytes) -> str:
    """Why a file is refused."""
    with pytest.raises(PeerError) as caught:
        read_recording(data, MIN_S, MAX_S)
    assert caught.value.close_code is None
    return caught.value.code


@pytest.mark.parametrize(("form", "codec", "rate"), FORMATS)
def test_any_common_format_becomes_the_same_wav(
    speech: bytes, form: str, codec: str, rate: int
) -> None:
    """Mono int16 of 24 kHz, as long as it was."""
    made = read_recording(encoded(speech, form, codec, rate), MIN_S, MAX_S)
    with wave.open(io.BytesIO(made)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        seconds = file.getnframes() / RATE
    assert seconds == pytest.approx(len(speech) / 32_000, abs=0.15)


def test_a_good_recording_is_unchanged(speech: bytes) -> None:
    """Nothing is cut, levelled or cleaned."""
    pcm = resample_all(speech, 16_000, RATE)
    assert read_recording(wav(pcm, RATE), MIN_S, MAX_S) == wav(pcm, RATE)


def test_stereo_is_mixed_down(speech: bytes) -> None:
    """Both sides count."""
    samples = np.frombuffer(speech, "<i2")
    stereo = io.BytesIO()
    with wave.open(stereo, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.repeat(samples, 2).astype("<i2").tobytes())
    mixed, rate = decode(stereo.getvalue(), MAX_S)
    assert rate == 16_000
    difference = np.frombuffer(mixed, "<i2").astype(int) - samples
    assert np.abs(difference).max() <= 1


def test_what_cannot_be_used_is_told_apart(speech: bytes, tone: Callable[..., bytes]) -> None:
    """A code for each fault."""
    faint = (np.frombuffer(speech, "<i2") // 100).astype("<i2").tobytes()
    loud = np.clip(np.frombuffer(speech, "<i2").astype(int) * 20, -32_768, 32_767)
    assert code_of(wav(speech[:64_000])) == "recording_too_short"
    assert code_of(wav(speech * 6)) == "recording_too_long"
    assert code_of(wav(faint)) == "recording_too_quiet"
    assert code_of(wav(bytes(160_000))) == "recording_too_quiet"
    assert code_of(wav(loud.astype("<i2").tobytes())) == "recording_clipped"
    assert code_of(wav(tone(220, 16_000, 5.0))) == "recording_without_speech"


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\0" * 1000, b"no audio at all", wav(b"")])
def test_what_is_no_audio(data: bytes) -> None:
    """The same code, whatever it is."""
    assert code_of(data) == "recording_undecodable"


@given(st.binary(max_size=2_000))
def test_any_bytes_are_refused_with_a_typed_error(data: bytes) -> None:
    """Nothing but PeerError leaves the decoder."""
    with pytest.raises(PeerError):
        decode(data, MAX_S)


@given(st.binary(min_size=1, max_size=64), st.integers(0, 3_000))
def test_a_damaged_file_is_decoded_or_refused(damage: bytes, at: int) -> None:
    """Wherever the damage is."""
    data = bytearray(tone_wav(0.1))
    data[at : at + len(damage)] = damage
    try:
        pcm, rate = decode(bytes(data), MAX_S)
    except PeerError:
        return
    assert len(pcm) <= (MAX_S + 2) * rate * 2


def test_a_long_file_is_not_decoded_to_its_end() -> None:
    """An hour of silence is a few kB of FLAC; the memory it takes is bounded."""
    quiet = encoded(bytes(32_000 * 600), "flac", "flac", 16_000)
    assert len(quiet) < 200_000
    with pytest.raises(PeerError) as caught:
        decode(quiet, MAX_S)
    assert caught.value.code == "recording_too_long"


@pytest.mark.parametrize("rate", [1, 100, 7_999, 200_000])
def test_odd_sample_rates_are_refused(rate: int) -> None:
    """One sample a second would be a long recording of nothing."""
    assert code_of(tone_wav(4.0, rate=rate)) == "recording_undecodable"


def test_a_list_of_files_opens_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg would take it for a recording that is made of them."""
    (tmp_path / "other.wav").write_bytes(tone_wav(4.0))
    monkeypatch.chdir(tmp_path)
    assert code_of(b"ffconcat version 1.0\nfile other.wav\n") == "recording_undecodable"


def test_a_fit_recording_has_no_fault() -> None:
    """At every limit still."""
    assert fault_of(GOOD, MIN_S, MAX_S) is None
    edge = Measures(MIN_S, QUIETEST_DBFS, MOST_CLIPPED, MIN_S * LEAST_SPEECH)
    assert fault_of(edge, MIN_S, MAX_S) is None
    assert fault_of(Measures(MAX_S, 0.0, 0.0, MAX_S), MIN_S, MAX_S) is None


@given(
    st.builds(
        Measures,
        seconds=st.floats(0, 30),
        level_dbfs=st.floats(-96, 0),
        clipped=st.floats(0, 1),
        speech_s=st.floats(0, 30),
    )
)
def test_whatever_is_measured_is_judged(measures: Measures) -> None:
    """A fault exactly where a limit is passed."""
    fit = (
        MIN_S <= measures.seconds <= MAX_S
        and measures.level_dbfs >= QUIETEST_DBFS
        and measures.clipped <= MOST_CLIPPED
        and measures.speech_s >= MIN_S * LEAST_SPEECH
    )
    fault = fault_of(measures, MIN_S, MAX_S)
    assert (fault is None) == fit
    assert fault is None or fault.code.startswith("recording_")
