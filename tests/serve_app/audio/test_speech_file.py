"""serve_app.audio.speech_file, and the decoding below it: windows of files, and what is no file."""

from __future__ import annotations

import io
import struct
import wave
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.audio.decoding import declared_s
from serve_app.audio.encoding import RATE, FileEncoder
from serve_app.audio.pcm import Samples
from serve_app.audio.speech_file import CutPolicy, SpeechCutter, SpeechFile, SpeechPiece
from serve_app.audio.vad import FRAME_MS
from serve_app.errors import PeerError
from tests.fakes import ScriptedVad
from tests.recordings import tone_wav

FRAME = b"\1\0" * 512
POLICY = CutPolicy(wanted=10, longest=20, pause=3, long_pause=6, padding=2)


def windows(data: bytes, max_s: float = 60.0) -> list[SpeechPiece]:
    """All windows of a file."""
    file = SpeechFile(data, max_s, ScriptedVad())
    return list(iter(file.next_window, None))


def cut(probabilities: list[float]) -> list[tuple[int, int]]:
    """Where windows begin and end, in frames."""
    cutter = SpeechCutter(POLICY)
    pieces = [cutter.push(FRAME, probability) for probability in probabilities]
    pieces.append(cutter.finish())
    spans = [(p.start_ms // FRAME_MS, len(p.pcm) // len(FRAME)) for p in pieces if p]
    return [(start, start + length) for start, length in spans]


def fault(data: bytes, max_s: float = 60.0) -> str:
    """What a file is refused for."""
    with pytest.raises(PeerError) as refused:
        windows(data, max_s)
    assert 400 <= refused.value.status < 500
    return refused.value.code


def float_wav(samples: Samples) -> bytes:
    """A wav file of 32-bit floats at 16 kHz."""
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<IHHIIHH", 16, 3, 1, 16_000, 64_000, 4, 32)
    size = struct.pack("<I", 36 + len(data))
    return b"RIFF" + size + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data


def test_silence_alone_has_no_window() -> None:
    """There is nothing to hear."""
    assert cut([0.0] * 100) == []


def test_a_short_recording_is_one_window() -> None:
    """With a little of the silence around it."""
    assert cut([0.0] * 5 + [1.0] * 4 + [0.0] * 5) == [(3, 11)]


def test_a_long_one_is_cut_in_a_pause() -> None:
    """Once the window is as long as wanted; shorter pauses and earlier ones stay."""
    talk = [1.0] * 5 + [0.0] * 3 + [1.0] * 4 + [0.0] * 2 + [1.0] * 3 + [0.0] * 3 + [1.0] * 4
    assert cut(talk) == [(0, 19), (19, 24)]


def test_a_long_pause_ends_any_window() -> None:
    """However short what was said."""
    assert cut([1.0] * 2 + [0.0] * 9 + [1.0] * 2) == [(0, 4), (9, 13)]


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    """In the second half of the longest window, at frame 15."""
    talk = [1.0] * 15 + [0.4] + [1.0] * 14
    assert cut(talk) == [(0, 16), (16, 30)]


@given(st.lists(st.sampled_from([0.0, 0.4, 1.0]), max_size=200))
def test_no_speech_is_lost_or_heard_twice(probabilities: list[float]) -> None:
    """Windows lie in order, apart, are not too long, and hold every frame of speech."""
    spans = cut(probabilities)
    assert all(start < end <= start + POLICY.longest for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    for at, probability in enumerate(probabilities):
        if probability >= POLICY.speech:
            assert any(start <= at < end for start, end in spans)


@pytest.mark.parametrize("format", ["mp3", "opus", "aac", "flac", "wav"])
def test_formats_are_read(format: str) -> None:
    """Each that we write, back to about its length."""
    with wave.open(io.BytesIO(tone_wav(2.0, RATE))) as tone:
        encoder = FileEncoder(format)  # type: ignore[arg-type]
        data = encoder.push(tone.readframes(tone.getnframes())) + encoder.finish()
    [window] = windows(data)
    assert len(window.pcm) / 32_000 == pytest.approx(2.0, abs=0.15)


def test_memory_is_bounded_by_the_window() -> None:
    """A minute of sound comes in pieces of at most 20 s, decoded when they are asked for."""
    file = SpeechFile(tone_wav(60.0, 16_000), 90.0, ScriptedVad())
    assert file.next_window() is not None
    assert file.seconds < 25
    assert len(list(iter(file.next_window, None))) >= 2


def test_a_header_that_says_too_much_is_refused_at_once() -> None:
    """Nothing is decoded."""
    data = tone_wav(3.0, 16_000)
    with pytest.raises(PeerError, match="2 s"):
        SpeechFile(data, 2.0)
    assert fault(data, 2.0) == "audio_too_long"


def test_what_is_longer_than_it_says_is_cut_off() -> None:
    """Ten minutes of silence in a few KB, whose header gives no length."""
    encoder = FileEncoder("flac")
    bomb = b"".join(encoder.push(bytes(RATE * 2 * 60)) for _ in range(10)) + encoder.finish()
    assert declared_s(bomb) is None
    assert len(bomb) < 100_000
    assert fault(bomb, 60.0) == "audio_too_long"


def test_a_streamed_wav_is_as_long_as_it_is() -> None:
    """Its header has the greatest length there is."""
    data = bytearray(tone_wav(1.0, 16_000))
    data[4:8] = data[40:44] = b"\xff" * 4
    [window] = windows(bytes(data))
    assert len(window.pcm) == pytest.approx(32_000, abs=1024)


def test_a_truncated_recording_is_heard_as_far_as_it_goes() -> None:
    """Half the samples that its header promises."""
    data = tone_wav(2.0, 16_000)
    [window] = windows(data[: len(data) // 2])
    assert len(window.pcm) == pytest.approx(32_000, abs=1024)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"rubbish" * 100,
        tone_wav(1.0)[:44],
        float_wav(np.full(4_000, np.nan, np.float32)),
        float_wav(np.full(4_000, np.inf, np.float32)),
        b"#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n",
        tone_wav(1.0).replace(struct.pack("<I", 24_000), struct.pack("<I", 1), 1),
        tone_wav(1.0).replace(struct.pack("<I", 24_000), struct.pack("<I", 4_000_000_000), 1),
    ],
    ids=["empty", "rubbish", "header", "nan", "inf", "playlist", "1 Hz", "4 GHz"],
)
def test_what_is_no_recording(data: bytes) -> None:
    """One typed error."""
    assert fault(data) == "audio_undecodable"


@given(
    st.sampled_from([b"", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"fLaC", b"OggS", b"ID3", b"\xff\xfb"]),
    st.binary(max_size=300),
    st.integers(0, 200),
)
def test_any_bytes_are_heard_or_refused(head: bytes, rest: bytes, at: int) -> None:
    """By the typed error alone; a good file with some of its bytes replaced too."""
    good = tone_wav(0.2, 16_000)
    for data in (head + rest, good[:at] + rest + good[at + len(rest) :]):
        try:
            windows(data)
        except PeerError:
            continue
