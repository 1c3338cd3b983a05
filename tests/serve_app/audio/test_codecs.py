"""serve_app.audio.codecs, opus_native and opus_pyav: the same tests over both libraries."""

from __future__ import annotations

import importlib.machinery
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve_app.audio import codecs
from serve_app.audio.codecs import (
    LOOKAHEAD_MS,
    MAX_PACKET_MS,
    OPUS_RATES,
    PACKET_MS,
    OpusDecoder,
    OpusEncoder,
    native_available,
    new_decoder,
    new_encoder,
)
from serve_app.audio.opus_pyav import PyavDecoder, PyavEncoder
from serve_app.errors import PeerError

Tone = Callable[[float, int, float], bytes]

TOO_LARGE = bytes([0x0B, 0x41, *[255] * 40, 0]) + bytes(50 + 40 * 254)
"""20 ms of SILK in one frame of 50 bytes with 10 kB of padding: valid, but over our limit."""


class Library(NamedTuple):
    """One implementation of the interface."""

    decoder: Callable[[], OpusDecoder]
    encoder: Callable[[int, int], OpusEncoder]


def native() -> Library:
    """The system's libopus; skipped where there is none."""
    if not native_available():
        pytest.skip("no libopus on this machine")
    from serve_app.audio.opus_native import NativeDecoder, NativeEncoder

    return Library(NativeDecoder, NativeEncoder)


@pytest.fixture(params=["native", "pyav"], scope="session")
def library(request: pytest.FixtureRequest) -> Library:
    """Each of the two libraries."""
    return native() if request.param == "native" else Library(PyavDecoder, PyavEncoder)


def encode(encoder: OpusEncoder, pcm: bytes, rate: int) -> list[bytes]:
    """Whole 20 ms frames of PCM as packets."""
    size = rate * PACKET_MS // 1000 * 2
    return [encoder.encode(pcm[at : at + size]) for at in range(0, len(pcm), size)]


def stereo_packets(left: bytes) -> list[bytes]:
    """48 kHz PCM in the left channel, silence in the right."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48_000, "stereo", "s16"
    context.bit_rate = 64_000
    samples = np.frombuffer(left, "<i2")
    packets: list[bytes] = []
    for at in range(0, len(samples), 960):
        both = np.zeros((960, 2), "<i2")
        both[:, 0] = samples[at : at + 960]
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.sample_rate = 48_000
        frame.planes[0].update(both.tobytes())
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets


def tone_level(pcm: bytes, hertz: float) -> float:
    """Amplitude of a sine of `hertz` in 16 kHz PCM, in steps of int16."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    turn = np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / 16_000)
    return float(2 * np.abs(np.mean(samples * turn)))


def check_outcome(decoder: OpusDecoder, packet: bytes) -> None:
    """Some audio, at most 120 ms of it, or the typed error that does not end the call."""
    error: PeerError | None = None
    try:
        pcm = decoder.decode(packet)
    except PeerError as raised:
        error, pcm = raised, b""
    assert error is None or (error.code, error.close_code) == ("invalid_audio", None)
    assert len(pcm) % 2 == 0
    assert len(pcm) / 32 <= MAX_PACKET_MS + 2


@pytest.mark.parametrize("rate", OPUS_RATES)
def test_a_tone_survives_the_round_trip(library: Library, rate: int, tone: Tone) -> None:
    """Pitch, level and length come through, from every rate Opus has."""
    packets = encode(library.encoder(rate, 32_000), tone(500, rate, 1.0), rate)
    decoder = library.decoder()
    pcm = b"".join(decoder.decode(packet) for packet in packets)
    assert len(packets) == 50
    assert len(pcm) / 32 == pytest.approx(1000, abs=1.1)
    assert tone_level(pcm[6400:], 500) == pytest.approx(16_384, rel=0.1)
    assert np.std(np.frombuffer(pcm[6400:], "<i2")) == pytest.approx(16_384 / 2**0.5, rel=0.1)


def test_libraries_understand_each_other(tone: Tone) -> None:
    """What one encodes the other decodes, to nearly the same sound."""
    both = native(), Library(PyavDecoder, PyavEncoder)
    for writer, reader in (both, both[::-1]):
        packets = encode(writer.encoder(24_000, 32_000), tone(500, 24_000, 0.5), 24_000)
        decoder = reader.decoder()
        pcm = b"".join(decoder.decode(packet) for packet in packets)
        assert tone_level(pcm[6400:], 500) == pytest.approx(16_384, rel=0.1)


def test_the_bitrate_is_obeyed(library: Library, speech: bytes) -> None:
    """Asking for less makes packets that take less, near what was asked for."""
    seconds = len(speech) // 640 * 0.02
    pcm = speech[: len(speech) // 640 * 640]
    sizes = {
        bitrate: 8 * sum(map(len, encode(library.encoder(16_000, bitrate), pcm, 16_000))) / seconds
        for bitrate in (12_000, 32_000)
    }
    assert 4000 < sizes[12_000] < 16_000
    assert 1.5 * sizes[12_000] < sizes[32_000] < 42_000


def test_the_lookahead_is_the_measured_one(library: Library) -> None:
    """A click comes out of the decoder 6.5 ms later (and 1 ms in PyAV's resampler)."""
    click = np.zeros(24_000, "<i2")
    click[12_000:12_024] = 16_000
    decoder = library.decoder()
    packets = encode(library.encoder(24_000, 64_000), click.tobytes(), 24_000)
    heard = np.frombuffer(b"".join(map(decoder.decode, packets)), "<i2").astype(float)
    peak_ms = float(np.argmax(np.abs(heard))) / 16
    assert peak_ms - 500.5 == pytest.approx(LOOKAHEAD_MS, abs=1.5)


def test_stereo_comes_out_mono(library: Library, tone: Tone) -> None:
    """Two channels are mixed: a tone in one has half its level, and the length is not doubled."""
    packets = stereo_packets(tone(500, 48_000, 0.5))
    decoder = library.decoder()
    pcm = b"".join(map(decoder.decode, packets))
    assert len(pcm) / 32 == pytest.approx(20 * len(packets), abs=1.1)
    assert tone_level(pcm[6400:], 500) == pytest.approx(8192, rel=0.15)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["native", "pyav"]),
    packets=st.lists(st.binary(max_size=400), min_size=1, max_size=8),
)
@example(kind="native", packets=[b"\xff" + bytes([60]) * 600])
@example(kind="pyav", packets=[b"\xff" + bytes([60]) * 600])
def test_random_bytes_do_no_harm(kind: str, packets: list[bytes]) -> None:
    """Whatever arrives, the only error is PeerError, the audio is bounded, the stream goes on."""
    library = native() if kind == "native" else Library(PyavDecoder, PyavEncoder)
    decoder = library.decoder()
    for packet in packets:
        check_outcome(decoder, packet)
    good = library.encoder(16_000, 32_000).encode(bytes(640))
    assert len(decoder.decode(good)) / 32 == pytest.approx(PACKET_MS, abs=2)


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(["native", "pyav"]),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 60),
)
def test_damaged_packets_do_no_harm(kind: str, flips: list[tuple[int, int]], cut: int) -> None:
    """Real packets with changed and missing bytes: audio or PeerError, nothing else."""
    library = native() if kind == "native" else Library(PyavDecoder, PyavEncoder)
    noise = np.random.default_rng(1).normal(0, 5000, 480).astype("<i2").tobytes()
    packet = bytearray(library.encoder(24_000, 32_000).encode(noise))
    for at, value in flips:
        packet[at % len(packet)] = value
    check_outcome(library.decoder(), bytes(packet[: max(0, len(packet) - cut)]))


@pytest.mark.parametrize(
    "packet",
    [b"", b"\xff", b"\x0b\x3f" + bytes(100), TOO_LARGE],
    ids=["empty", "no frame count", "over 120 ms", "too large"],
)
def test_bad_packets_are_refused_and_the_stream_goes_on(
    library: Library, packet: bytes, tone: Tone
) -> None:
    """A typed error that does not end the call; the next packets sound as ever."""
    decoder = library.decoder()
    packets = encode(library.encoder(24_000, 32_000), tone(500, 24_000, 0.6), 24_000)
    for good in packets[:10]:
        decoder.decode(good)
    with pytest.raises(PeerError) as caught:
        decoder.decode(packet)
    assert (caught.value.code, caught.value.close_code) == ("invalid_audio", None)
    rest = b"".join(map(decoder.decode, packets[10:]))
    assert len(rest) == 20 * 640
    assert tone_level(rest[3200:], 500) == pytest.approx(16_384, rel=0.1)


def test_the_longest_packet_is_decoded(library: Library) -> None:
    """120 ms in one packet: three SILK frames of 40 ms, told by the packet's first two bytes."""
    pcm = library.decoder().decode(bytes([0x13, 0x03]) + bytes(90))
    assert len(pcm) / 32 == pytest.approx(MAX_PACKET_MS, abs=1.1)


def test_pyav_goes_on_after_the_end_of_a_stream(tone: Tone) -> None:
    """A context that FFmpeg takes for ended refuses one packet, then decodes again."""
    decoder = PyavDecoder()
    packets = encode(PyavEncoder(24_000, 32_000), tone(500, 24_000, 0.1), 24_000)
    decoder.decode(packets[0])
    decoder._context.decode(None)
    with pytest.raises(PeerError):
        decoder.decode(packets[1])
    assert len(decoder.decode(packets[2])) == 640


@pytest.mark.parametrize("length", [0, 958, 962, 1920])
def test_a_frame_of_another_length_is_our_bug(library: Library, length: int) -> None:
    """Only 20 ms make a packet; libopus would read past a shorter buffer."""
    with pytest.raises(ValueError, match="20 ms"):
        library.encoder(24_000, 32_000).encode(bytes(length))


def test_a_rate_opus_lacks_is_our_bug() -> None:
    """44.1 kHz must be resampled first."""
    with pytest.raises(ValueError, match="44100"):
        new_encoder(44_100)


@pytest.mark.parametrize("available", [True, False])
def test_the_library_is_chosen_by_what_is_there(
    available: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """opuslib where libopus is, PyAV elsewhere, for both directions."""
    if available:
        native()
    monkeypatch.setattr(codecs, "native_available", lambda: available)
    prefix = "Native" if available else "Pyav"
    assert type(new_decoder()).__name__ == f"{prefix}Decoder"
    assert type(new_encoder()).__name__ == f"{prefix}Encoder"


@pytest.mark.parametrize(
    ("package", "file", "expected"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
def test_native_needs_the_package_and_the_file(
    package: bool, file: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """opuslib without libopus would fail on import, so it is not tried."""
    spec = importlib.machinery.ModuleSpec("opuslib", None)
    monkeypatch.setattr(codecs, "find_spec", lambda _name: spec if package else None)
    monkeypatch.setattr(codecs, "find_library", lambda _name: "libopus.so.0" if file else None)
    assert native_available.__wrapped__() is expected


def test_opuslib_is_imported_without_a_warning(tmp_path: Path) -> None:
    """Compiled for the first time, with every warning an error, as in a fresh image."""
    native()
    command = [sys.executable, "-W", "error", "-X", f"pycache_prefix={tmp_path}"]
    subprocess.run(
        [*command, "-c", "import serve_app.audio.opus_native"],
        check=True,
        cwd=Path(__file__).parents[3],
        timeout=50,
    )
