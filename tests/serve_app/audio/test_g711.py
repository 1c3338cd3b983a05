"""G.711 both ways."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.audio import g711
from serve_app.audio.downlink import Downlink
from serve_app.audio.uplink import Uplink
from serve_app.dialects import AudioFormat
from tests.fakes import ScriptedVad

every_law = pytest.mark.parametrize("law", ["mulaw", "alaw"])


@every_law
@given(data=st.binary())
def test_bytes_survive_both_ways(law: g711.Law, data: bytes) -> None:
    """But for mu-law's second zero."""
    back = g711.encode(law, g711.decode(law, data))
    assert back == (data.replace(b"\x7f", b"\xff") if law == "mulaw" else data)


@every_law
def test_every_sample_is_close(law: g711.Law) -> None:
    """Within the step of its size: 1/16 of it, and 16 near silence."""
    samples = np.arange(-32768, 32768).astype("<i2")
    heard = np.frombuffer(g711.decode(law, g711.encode(law, samples.tobytes())), "<i2")
    error = np.abs(heard.astype(int) - samples)
    clipped = np.minimum(np.abs(samples.astype(int)), 32_124)
    assert np.all(error <= np.maximum(16, clipped / 16) + (np.abs(samples.astype(int)) - clipped))


@pytest.mark.parametrize(("law", "byte", "sample"), [("mulaw", 0xFF, 0), ("alaw", 0xD5, 8)])
def test_silence(law: g711.Law, byte: int, sample: int) -> None:
    """As the standard has it."""
    assert np.frombuffer(g711.decode(law, bytes([byte])), "<i2")[0] == sample


@every_law
def test_a_telephone_is_heard_and_spoken_to(law: g711.Law) -> None:
    """8 kHz in, 16 kHz to the ear; the voice's rate to 8 kHz out."""
    uplink = Uplink(AudioFormat(law, 8_000), ScriptedVad(), 1_000)
    tone = (np.sin(np.arange(1_600) / 5) * 8_000).astype("<i2").tobytes()
    uplink.accept(g711.encode(law, tone))
    assert uplink.received_ms == pytest.approx(200, abs=3)
    downlink = Downlink(AudioFormat(law, 8_000))
    packets = downlink.encode(bytes(4_800), 24_000) + downlink.finish()
    assert sum(len(packet.payload) for packet in packets) == 800
    assert sum(packet.duration_ms for packet in packets) == pytest.approx(100)
