"""Opus packets both ways."""

from __future__ import annotations

import contextlib
import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.opus import DECODED_RATE, ENCODER_RATES, BadPacket, OpusDecoder, OpusEncoder


def _tone(rate: int, ms: int) -> bytes:
    samples = rate * ms // 1000
    return array(
        "h", [round(9000 * math.sin(2 * math.pi * 300 * n / rate)) for n in range(samples)]
    ).tobytes()


@pytest.mark.parametrize("rate", ENCODER_RATES)
def test_there_and_back(rate: int):
    """A tone comes back as long and about as loud, whatever the sizes it was fed in."""
    encoder, decoder = OpusEncoder(rate), OpusDecoder()
    tone = _tone(rate, 400)
    packets = [p for at in range(0, len(tone), 334) for p in encoder.encode(tone[at : at + 334])]
    assert len(packets) == 20
    decoded = array("h", b"".join(decoder.decode(packet) for packet in packets))
    assert len(decoded) == DECODED_RATE * 400 // 1000
    assert 8000 < max(decoded[DECODED_RATE // 10 :]) < 10000


def test_a_rate_that_opus_has_not():
    """The message names the rates there are."""
    with pytest.raises(ValueError, match="22050"):
        OpusEncoder(22_050)


@given(st.binary(max_size=300))
def test_rubbish_leaves_the_decoder_usable(rubbish: bytes):
    """Whatever came before, a good packet is decoded after it."""
    decoder = OpusDecoder()
    with contextlib.suppress(BadPacket):
        decoder.decode(rubbish)
    (packet,) = OpusEncoder(16_000).encode(_tone(16_000, 20))
    assert len(decoder.decode(packet)) == 960 * 2
