"""Reading speech from any file, writing what was played."""

from __future__ import annotations

import math
import wave
from array import array
from fractions import Fraction
from pathlib import Path

import av
import pytest

from clients.audio_file import AudioFileError, Resampler, read_speech, resampled, write_wav
from clients.playback import Stretch


def _tone(rate: int, ms: int) -> array[int]:
    return array(
        "h",
        [round(9000 * math.sin(2 * math.pi * 300 * n / rate)) for n in range(rate * ms // 1000)],
    )


def _write(path: Path, codec: str, rate: int, layout: str = "mono") -> None:
    """One second of a tone, encoded."""
    channels = 2 if layout == "stereo" else 1
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(
            format=stream.codec_context.format,
            layout=layout,
            rate=rate,
            frame_size=stream.codec_context.frame_size or 1024,
        )
        samples = array("h", [value for value in _tone(rate, 1000) for _ in range(channels)])
        frame = av.AudioFrame(format="s16", layout=layout, samples=rate)
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = 0
        frame.planes[0].update(samples.tobytes())
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("a.wav", "pcm_s16le", 8000, "mono"),
        ("a.wav", "pcm_f32le", 44100, "stereo"),
        ("a.mp3", "libmp3lame", 44100, "stereo"),
        ("a.flac", "flac", 48000, "mono"),
        ("a.ogg", "libopus", 48000, "mono"),
        ("a.webm", "libopus", 48000, "stereo"),
        ("a.m4a", "aac", 44100, "mono"),
    ],
)
def test_common_formats(tmp_path: Path, name: str, codec: str, rate: int, layout: str):
    """Each gives about a second of the tone, mono at the asked rate."""
    _write(tmp_path / name, codec, rate, layout)
    samples = array("h", read_speech(tmp_path / name, 16_000))
    assert len(samples) == pytest.approx(16_000, abs=1600)
    assert max(samples[4000:12000]) == pytest.approx(9000, rel=0.15)


def test_a_file_that_is_not_there(tmp_path: Path):
    """Its name, and that it is not there."""
    with pytest.raises(AudioFileError, match=r"q\.wav: no such file"):
        read_speech(tmp_path / "q.wav", 16_000)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"RIFF....WAVEfmt "])
def test_a_file_that_is_no_audio(tmp_path: Path, content: bytes):
    """Its name, in one line."""
    (tmp_path / "q.wav").write_bytes(content)
    with pytest.raises(AudioFileError, match=r"q\.wav: \w") as caught:
        read_speech(tmp_path / "q.wav", 16_000)
    assert "\n" not in str(caught.value)


def test_a_folder(tmp_path: Path):
    """A folder is no audio file."""
    with pytest.raises(AudioFileError, match="not an audio file"):
        read_speech(tmp_path, 16_000)


def test_resampled():
    """The length follows the rate; the same rate and nothing are left alone."""
    tone = _tone(22050, 500).tobytes()
    assert len(resampled(tone, 22050, 16000)) // 2 == pytest.approx(8000, abs=2)
    assert resampled(tone, 16000, 16000) is tone
    assert resampled(b"", 22050, 16000) == b""


def test_a_stream_resamples_as_one_piece_does():
    """Cut into pieces or whole: the same samples."""
    tone = _tone(22050, 300).tobytes()
    resampler = Resampler(22050, 48000)
    pieces = [resampler.push(tone[at : at + 886]) for at in range(0, len(tone), 886)]
    assert b"".join(pieces) + resampler.finish() == resampled(tone, 22050, 48000)


def _read(path: Path) -> tuple[int, bytes]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), file.readframes(-1)


def test_what_was_played_is_written(tmp_path: Path):
    """Stretches with their pauses, of which a long one is shortened."""
    a, b, c = (array("h", [level] * 100).tobytes() for level in (1, 2, 3))
    played = [
        Stretch("r1", 0, 5.0, a, 1000),
        Stretch("r1", 100, 5.1, b, 1000),
        Stretch("r1", 200, 5.25, b, 1000),
        Stretch("r2", 0, 60.0, c, 1000),
    ]
    assert write_wav(tmp_path / "r.wav", played) == pytest.approx(0.95)
    rate, pcm = _read(tmp_path / "r.wav")
    assert rate == 1000
    assert pcm == a + b + bytes(100) + b + bytes(1000) + c


def test_replies_at_two_rates(tmp_path: Path):
    """The file has the first one's rate; the other is resampled."""
    played = [
        Stretch("r1", 0, 0.0, _tone(16000, 100).tobytes(), 16000),
        Stretch("r2", 0, 0.1, _tone(48000, 100).tobytes(), 48000),
    ]
    assert write_wav(tmp_path / "r.wav", played) == pytest.approx(0.2, abs=0.001)
    assert _read(tmp_path / "r.wav")[0] == 16000


def test_nothing_was_played(tmp_path: Path):
    """An empty file, and no crash."""
    assert write_wav(tmp_path / "r.wav", []) == 0.0


def test_a_place_that_cannot_be_written(tmp_path: Path):
    """The file's name and the reason."""
    with pytest.raises(AudioFileError, match=r"r\.wav: cannot be written: No such file"):
        write_wav(tmp_path / "none" / "r.wav", [])
