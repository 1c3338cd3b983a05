"""Marks: each caller's own, found where they are, and nobody else's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.audio_file import resampled
from clients.opus import DECODED_RATE, OpusDecoder, OpusEncoder
from deployments.backends.stt_timed import NO_TONE, TONE_HZ, tone_in
from loadtest.clips import Clips
from loadtest.marks import TONES, VoiceWatch, foreign_tone, foreign_word, marks_of


def tone(hz: float, rate: int, seconds: float = 1.0) -> bytes:
    """A quiet tone, as the timed voice makes it."""
    times = np.arange(round(rate * seconds)) / rate
    return (1_000 * np.sin(2 * np.pi * hz * times)).astype("<i2").tobytes()


@given(st.integers(0, 10**8), st.integers(0, 10**8))
def test_a_word_is_its_callers_alone(one: int, other: int) -> None:
    """In any sentence, whatever the case; and two callers never share one."""
    own, foreign = marks_of(one), marks_of(other)
    assert foreign_word(f"You said that my word is {own.word.title()}.", own) is None
    assert (foreign_word(f"my word is {foreign.word}", own) is None) == (one == other)


def test_a_tone_named_in_a_text_is_foreign_unless_it_is_the_callers() -> None:
    """2 Hz beside it still counts as its own; numbers that are no tones are nobody's."""
    own = marks_of(7)
    assert own.tone_hz == 2835
    assert foreign_tone("2834 is what I am called, in 1999, at 0", own) is None
    assert foreign_tone("2840 is what I am called", own) == "2840 Hz"
    assert all(TONE_HZ[0] < marks_of(n).tone_hz < TONE_HZ[1] for n in range(TONES))


@pytest.mark.parametrize("codec", ["pcm16", "opus"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_the_timed_recogniser_hears_the_tone_under_a_clip(rate: int, codec: str) -> None:
    """To the hertz, through every codec; and none where there is none."""
    noise = np.random.default_rng(5).normal(0, 4_000, rate).cumsum()
    speech = (noise - noise.mean()) / np.abs(noise - noise.mean()).max() * 20_000
    clips = Clips({rate: [speech.astype(np.int16)]})
    for hz in (marks_of(3).tone_hz, None):
        pcm = clips.clip(0, rate, hz).pcm
        if codec == "opus":
            encoder, decoder = OpusEncoder(rate), OpusDecoder()
            packets = encoder.encode(pcm)
            heard = resampled(b"".join(map(decoder.decode, packets)), DECODED_RATE, 16_000)
        else:
            heard = resampled(pcm, rate, 16_000)
        assert tone_in(heard) == (NO_TONE if hz is None else str(hz))


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_a_foreign_voice_is_heard_within_a_reply(rate: int) -> None:
    """Own tone and silence pass, whatever the pieces; 0.2 s of the next caller's do not."""
    watch = VoiceWatch(marks_of(4))
    own = tone(marks_of(4).voice_hz, rate)
    assert all(watch.push(own[at : at + 1_920], rate) is None for at in range(0, len(own), 1_920))
    assert watch.push(bytes(rate), rate) is None
    assert watch.push(tone(marks_of(5).voice_hz, rate), rate) == pytest.approx(400, abs=3)
