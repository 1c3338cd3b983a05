"""serve_app.audio.downlink"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.audio import codecs
from serve_app.audio.codecs import native_available, new_decoder
from serve_app.audio.downlink import Downlink, Packet
from serve_app.dialects import AudioFormat

Tone = Callable[[float, int, float], bytes]
OPUS = AudioFormat("opus", None)


@pytest.fixture(params=["native", "pyav"])
def opus_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two Opus libraries."""
    if request.param == "native" and not native_available():
        pytest.skip("no libopus on this machine")
    monkeypatch.setattr(codecs, "native_available", lambda: request.param == "native")


def decoded(packets: list[Packet]) -> np.ndarray:
    """What a client hears, at 16 kHz."""
    decoder = new_decoder()
    pcm = b"".join(decoder.decode(packet.payload) for packet in packets)
    return np.frombuffer(pcm, "<i2").astype(float)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000])
def test_pcm_passes_through(rate: int, tone: Tone) -> None:
    """Without a rate of its own the format changes nothing: same bytes, the voice's rate."""
    pcm = tone(440, rate, 0.1)
    downlink = Downlink(AudioFormat("pcm16", None))
    assert downlink.encode(pcm, rate) == [Packet(rate, pcm, 100.0)]
    assert downlink.encode(b"", rate) == []
    assert downlink.finish() == []


@settings(max_examples=30, deadline=None)
@given(
    source=st.sampled_from([8000, 16_000, 22_050, 24_000, 48_000]),
    target=st.sampled_from([8000, 16_000, 24_000]),
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=6),
)
def test_pcm_is_brought_to_the_formats_rate(source: int, target: int, sizes: list[int]) -> None:
    """Every packet has the asked rate; together they last as long as the reply (1 ms)."""
    downlink = Downlink(AudioFormat("pcm16", target))
    packets = [p for size in sizes for p in downlink.encode(bytes(2 * size), source)]
    packets += downlink.finish()
    assert all(packet.rate == target and packet.payload for packet in packets)
    total_ms = sum(packet.duration_ms for packet in packets)
    assert total_ms == pytest.approx(sum(sizes) * 1000 / source, abs=1)
    assert sum(len(p.payload) for p in packets) == pytest.approx(total_ms * target / 500)


@settings(max_examples=30, deadline=None)
@given(
    source=st.sampled_from([8000, 16_000, 22_050, 24_000, 48_000]),
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=6),
)
def test_opus_lasts_as_long_as_the_reply(source: int, sizes: list[int]) -> None:
    """However the audio arrives: 20 ms packets at 24 kHz that cover it and the look-ahead."""
    downlink = Downlink(OPUS)
    packets = [p for size in sizes for p in downlink.encode(bytes(2 * size), source)]
    packets += downlink.finish()
    assert all((packet.rate, packet.duration_ms) == (24_000, 20) for packet in packets)
    given_ms = sum(sizes) * 1000 / source
    if given_ms:
        assert given_ms <= 20 * len(packets) <= given_ms + 28
    else:
        assert packets == []


def test_packets_do_not_depend_on_the_pieces(tone: Tone) -> None:
    """The same reply in any pieces makes the same packets."""
    pcm = tone(440, 22_050, 0.5)
    whole, cut = Downlink(OPUS), Downlink(OPUS)
    expected = whole.encode(pcm, 22_050) + whole.finish()
    packets = [p for at in range(0, len(pcm), 614) for p in cut.encode(pcm[at : at + 614], 22_050)]
    assert packets + cut.finish() == expected


@pytest.mark.usefixtures("opus_library")
@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000])
def test_a_reply_sounds_the_same_in_opus(rate: int, tone: Tone) -> None:
    """A tone keeps its pitch and its level, to the end of the reply."""
    downlink = Downlink(OPUS)
    heard = decoded(downlink.encode(tone(500, rate, 1.0), rate) + downlink.finish())
    turn = np.exp(-2j * np.pi * 500 * np.arange(len(heard)) / 16_000)
    for stretch in (slice(4800, 9600), slice(11_200, 16_000)):
        level = 2 * np.abs(np.mean(heard[stretch] * turn[stretch]))
        assert level == pytest.approx(16_384, rel=0.1)


@pytest.mark.usefixtures("opus_library")
def test_the_last_sound_is_not_lost(tone: Tone) -> None:
    """The end of the reply leaves the decoder, in spite of the codec's look-ahead."""
    downlink = Downlink(OPUS)
    heard = decoded(downlink.encode(tone(500, 24_000, 0.4), 24_000) + downlink.finish())
    end = heard[16 * 400 : 16 * 405]
    assert np.std(end) > 4000


@pytest.mark.usefixtures("opus_library")
@pytest.mark.parametrize("end", [Downlink.reset, Downlink.finish])
def test_nothing_leaks_into_the_next_reply(end: Callable[[Downlink], object], tone: Tone) -> None:
    """After a flush, or an end, the next reply is what a fresh downlink would send."""
    downlink = Downlink(OPUS)
    downlink.encode(tone(500, 22_050, 0.333), 22_050)
    end(downlink)
    quiet = bytes(22_050)
    assert downlink.encode(quiet, 22_050) == Downlink(OPUS).encode(quiet, 22_050)
    fresh = Downlink(OPUS)
    fresh.encode(quiet, 22_050)
    assert downlink.finish() == fresh.finish()


def test_pcm_reset_drops_what_the_filter_holds(tone: Tone) -> None:
    """Resampled PCM starts afresh as well."""
    downlink = Downlink(AudioFormat("pcm16", 16_000))
    downlink.encode(tone(500, 24_000, 0.1), 24_000)
    downlink.reset()
    assert downlink.finish() == []
    [packet] = downlink.encode(bytes(4800), 24_000)
    assert not any(packet.payload)


def test_a_voice_may_change_its_rate(tone: Tone) -> None:
    """Another phrase at another rate follows without a gap: no sample is lost between them."""
    downlink = Downlink(AudioFormat("pcm16", 16_000))
    packets = downlink.encode(tone(500, 24_000, 0.1), 24_000)
    packets += downlink.encode(tone(500, 22_050, 0.1), 22_050)
    packets += downlink.finish()
    assert sum(packet.duration_ms for packet in packets) == pytest.approx(200, abs=0.2)


def test_finishing_nothing_sends_nothing() -> None:
    """A reply without audio has no packets."""
    assert Downlink(OPUS).finish() == []
    assert Downlink(AudioFormat("pcm16", 8000)).finish() == []


def test_what_is_encoded_is_overheard(tone: Tone) -> None:
    """As it came, before anything is done to it."""
    heard: list[tuple[bytes, int]] = []
    downlink = Downlink(OPUS, lambda pcm, rate: heard.append((pcm, rate)))
    pcm = tone(440, 22_050, 0.1)
    downlink.encode(pcm, 22_050)
    downlink.finish()
    assert heard == [(pcm, 22_050)]
