"""serve_app.audio.echo"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from serve_app.audio.echo import EchoGuard
from serve_app.audio.pcm import Samples, from_float, to_float
from serve_app.audio.resample import resample_all

Noise = Callable[[float, float], bytes]
FRAME = 512


def judged(reply: Samples, microphone: Samples, *, guard: EchoGuard | None = None) -> list[float]:
    """Play `reply` at most 250 ms ahead; the verdict on each frame, were it surely voice."""
    guard = guard or EchoGuard()
    sent, verdicts = 0, list[float]()
    for at in range(0, len(microphone) - FRAME + 1, FRAME):
        while sent < min(len(reply), at + 4_000):
            guard.play(from_float(reply[sent : sent + 640]), 16_000)
            sent += 640
        verdicts.append(guard.judge(microphone[at : at + FRAME], 0.9))
    return verdicts


def echo_of(reply: Samples, delay_ms: int, gain: float) -> Samples:
    """The reply as it comes back, in a little noise."""
    noise = (
        np.random.default_rng(3)
        .normal(0, 3e-4, len(reply) + delay_ms * 16 + 8_000)
        .astype(np.float32)
    )
    noise[delay_ms * 16 : delay_ms * 16 + len(reply)] += gain * reply
    return noise


@pytest.mark.parametrize("delay_ms", [20, 50, 170, 300, 390])
@pytest.mark.parametrize("gain", [0.1, -0.5])
def test_the_agents_voice_is_no_voice(speech: bytes, delay_ms: int, gain: float) -> None:
    """At any delay up to 400 ms, at any level, in either phase; before and after stays noise."""
    reply = to_float(speech)
    verdicts = judged(reply, echo_of(reply, delay_ms, gain))
    # The clip has half a second of silence at both ends.
    spoken = verdicts[17 + delay_ms // 32 : (len(reply) - 8_000 + delay_ms * 16) // FRAME - 1]
    assert np.mean([verdict == 0 for verdict in spoken]) > 0.9


def test_another_voice_over_the_echo_stays(speech: bytes) -> None:
    """What the echo does not explain is the caller's."""
    reply = to_float(speech)
    microphone = echo_of(reply, 120, 0.1)
    caller = to_float(speech)[::-1][:32_000] * 0.5
    microphone[20_000 : 20_000 + len(caller)] += caller
    verdicts = judged(reply, microphone)
    over = verdicts[20_000 // FRAME + 18 : (20_000 + len(caller)) // FRAME - 2]
    assert np.mean([verdict > 0 for verdict in over]) > 0.8


def test_the_callers_voice_without_an_echo_stays(speech: bytes, noise: Noise) -> None:
    """Who wears headphones is heard while the agent speaks."""
    reply = to_float(noise(0.1, 4.0))
    verdicts = judged(reply, to_float(speech))
    assert verdicts.count(0.9) > 0.98 * len(verdicts)


def test_nothing_is_judged_that_is_hardly_voice(speech: bytes) -> None:
    """It opens no turn, so it is not worth the time."""
    guard, reply = EchoGuard(), to_float(speech)
    guard.play(from_float(reply), 16_000)
    for at in range(0, len(reply) - FRAME, FRAME):
        assert guard.judge(reply[at : at + FRAME], 0.1) == 0.1


def test_long_after_the_reply_the_same_words_are_the_callers(speech: bytes) -> None:
    """The reach is 400 ms."""
    reply = to_float(speech)
    verdicts = judged(reply, echo_of(reply, 700, 0.5)[: len(reply) + 8_000])
    assert np.mean([verdict > 0 for verdict in verdicts]) > 0.95


def test_recalled_audio_was_not_heard(speech: bytes) -> None:
    """What leaves after it is due at once, so its echo is found."""
    guard, reply = EchoGuard(), to_float(speech)[8_000:]
    for _ in range(40):
        guard.judge(np.zeros(FRAME, np.float32), 0.0)
    guard.play(from_float(np.ones(16_000, np.float32) * 0.3), 16_000)
    guard.recall()
    verdicts = judged(reply, echo_of(reply, 350, 0.2)[: len(reply)], guard=guard)
    assert np.mean([verdict == 0 for verdict in verdicts[13:-20]]) > 0.9


def test_the_reply_may_have_any_rate(speech: bytes) -> None:
    """It is compared at a rate of the guard's own."""
    reply, guard = to_float(speech), EchoGuard()
    faster = resample_all(speech, 16_000, 24_000)
    microphone = echo_of(reply, 100, 0.1)
    verdicts: list[float] = []
    sent = 0
    for at in range(0, len(reply), FRAME):
        while sent < min(len(faster), (at + 4_000) * 3):
            guard.play(faster[sent : sent + 1_920], 24_000)
            sent += 1_920
        verdicts.append(guard.judge(microphone[at : at + FRAME], 0.9))
    assert np.mean([verdict == 0 for verdict in verdicts[20:-20]]) > 0.9


def test_digital_silence_is_no_echo() -> None:
    """Nothing is divided by nothing."""
    guard = EchoGuard()
    guard.play(bytes(32_000), 16_000)
    assert guard.judge(np.zeros(FRAME, np.float32), 0.9) == 0.9


def test_a_reply_that_nobody_speaks_over_is_not_kept(speech: bytes) -> None:
    """Without a frame to compare, a long reply takes no more memory than the guard's reach."""
    guard, quiet = EchoGuard(), np.zeros(FRAME, np.float32)
    for _ in range(2_000):
        guard.play(bytes(2 * FRAME), 16_000)
        guard.judge(quiet, 0.0)
    assert len(guard._pieces) < 40
    reply = to_float(speech)
    verdicts = judged(reply, echo_of(reply, 100, 0.2), guard=guard)
    spoken = verdicts[20 : (len(reply) - 8_000) // FRAME - 1]
    assert np.mean([verdict == 0 for verdict in spoken]) > 0.9


def test_audio_that_waits_to_be_judged_counts_as_heard(speech: bytes) -> None:
    """The reply is placed where the caller's audio is, not where the judging is."""
    guard, reply = EchoGuard(), to_float(speech)
    waiting = 3 * FRAME
    microphone = np.concatenate((np.zeros(waiting, np.float32), echo_of(reply, 385, 0.3)))
    sent, verdicts = 0, list[float]()
    for at in range(0, len(microphone) - waiting, waiting):
        while sent < min(len(reply), at + 4_000):
            guard.play(from_float(reply[sent : sent + 640]), 16_000, waiting)
            sent += 640
        frames = microphone[at : at + waiting].reshape(-1, FRAME)
        verdicts += [guard.judge(frame, 0.9) for frame in frames]
    spoken = verdicts[3 + 17 + 12 : (len(reply) - 8_000) // FRAME]
    assert np.mean([verdict == 0 for verdict in spoken]) > 0.9
