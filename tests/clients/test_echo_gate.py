"""The gate, frame by frame, in a room made of numbers: an echo, noise, now and then a person."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from clients.echo_gate import ECHO_S, HANGOVER_S, EchoGate
from clients.loudness import SILENCE_DBFS, level_dbfs
from clients.sample_voice import speak

_RATE = 16_000
_FRAME = _RATE // 50
_FRAME_S = 0.02
_Frame: TypeAlias = NDArray[np.float64]


def _noise(rms: float, seed: int) -> _Frame:
    """A frame of noise as loud as that."""
    return np.random.default_rng(seed).normal(0.0, rms, _FRAME)


def _speech(loudness: float, seed: int) -> Iterator[_Frame]:
    """Frames whose level moves as that of syllables does, with a pause now and then."""
    dice = random.Random(seed)
    level = 0.0
    while True:
        target = loudness * dice.choice((0.0, 0.1, 0.6, 1.0, 1.0))
        for _ in range(dice.randint(3, 8)):
            level += (target - level) * 0.5
            yield _noise(level, dice.randint(0, 1 << 30))


def _pcm(samples: _Frame) -> bytes:
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


@dataclass
class _Room:
    """What is played comes back after `delay` frames, times `echo`, with a reflection behind it."""

    echo: float = 0.1
    delay: int = 4
    noise: float = 30.0
    gate: EchoGate = field(default_factory=EchoGate)
    now: float = 100.0
    frames: int = 0
    _played: list[_Frame] = field(default_factory=list[_Frame])

    def frame(self, played: _Frame | None, said: _Frame | None = None) -> bool:
        """20 ms; whether what the microphone heard of them was let through."""
        if played is not None:
            self.gate.played(_pcm(played), self.now)
        self._played.append(np.zeros(_FRAME) if played is None else played)
        self.frames += 1
        self.now += _FRAME_S
        heard = self.echo * (self.back(self.delay) + 0.3 * self.back(self.delay + 3))
        heard = heard + _noise(self.noise, self.frames) + (0.0 if said is None else said)
        pcm = _pcm(heard)
        sent = self.gate.captured(pcm, self.now)
        assert sent == (bytes(len(pcm)) if self.gate.shut else pcm)
        return not self.gate.shut

    def back(self, frames: int) -> _Frame:
        """What was played so many frames ago."""
        return self._played[-1 - frames] if len(self._played) > frames else np.zeros(_FRAME)

    def quiet(self, seconds: float) -> list[bool]:
        """Nothing is played, nobody speaks."""
        return [self.frame(None) for _ in range(round(seconds / _FRAME_S))]

    def reply(self, seconds: float, seed: int = 1, loudness: float = 4000.0) -> list[bool]:
        """A reply is played, nobody speaks."""
        reply = _speech(loudness, seed)
        return [self.frame(next(reply)) for _ in range(round(seconds / _FRAME_S))]

    def talk_over(self, seconds: float, loudness: float) -> list[bool]:
        """A reply is played, and somebody speaks."""
        reply, person = _speech(4000.0, 2), _speech(loudness, 3)
        count = round(seconds / _FRAME_S)
        return [self.frame(next(reply), next(person)) for _ in range(count)]


def test_where_nothing_is_played_all_is_sent():
    """Silence, noise and speech: the gate has no part in it."""
    room = _Room()
    assert all(room.quiet(1.0))
    person = _speech(3000.0, 3)
    assert all(room.frame(None, next(person)) for _ in range(50))


@pytest.mark.parametrize("echo", [0.0, 0.01, 0.1, 0.5, 1.5])
@pytest.mark.parametrize("delay", [0, 4, 12])
def test_a_reply_is_not_sent_back(echo: float, delay: int):
    """However loud its echo is, and however late it comes: from its first frame to its end."""
    room = _Room(echo, delay)
    room.quiet(0.5)
    for seed in range(3):
        room.reply(6.0, seed)
        tail = room.quiet(1.0)
        assert all(tail[round(ECHO_S / _FRAME_S) + 1 :])
    assert sum(room.reply(6.0, 9)) < 50, "and that in pauses of the reply"


def test_nothing_of_a_loud_echo_gets_through():
    """What is sent while a reply plays is noise of the room, in pauses of the reply."""
    room, loudest = _Room(echo=0.5), SILENCE_DBFS
    room.quiet(0.5)
    reply = _speech(4000.0, 5)
    for _ in range(500):
        played = next(reply)
        if room.frame(played):
            loudest = max(loudest, level_dbfs(_pcm(room.back(room.delay))))
    assert loudest < -44


@pytest.mark.parametrize("echo", [0.01, 0.1, 0.25])
def test_somebody_who_talks_over_it_is_heard(echo: float):
    """Within 100 ms, and without holes in the words."""
    room = _Room(echo)
    room.quiet(0.5)
    room.reply(3.0)
    reply = _speech(4000.0, 2)
    heard = [room.frame(next(reply), _noise(4000.0, room.frames)) for _ in range(40)]
    assert heard.index(True) <= 4
    assert all(heard[heard.index(True) :])


def test_the_end_of_a_word_is_heard():
    """Its last, quiet sounds too, as long as a word takes to end; then the echo is kept back."""
    room = _Room()
    room.quiet(0.5)
    room.reply(3.0)
    reply = _speech(4000.0, 2)
    assert room.frame(next(reply), _noise(5000.0, 1)) is False, "one frame alone is a click"
    assert room.frame(next(reply), _noise(5000.0, 2))
    after = [room.frame(next(reply)) for _ in range(50)]
    end = after.index(False)
    assert end * _FRAME_S == pytest.approx(HANGOVER_S, abs=_FRAME_S)
    assert not any(after[end:])


def test_a_click_is_not_a_person():
    """One loud frame changes nothing."""
    room = _Room()
    room.quiet(0.5)
    room.reply(3.0)
    reply = _speech(4000.0, 2)
    assert not room.frame(next(reply), _noise(8000.0, 1))
    assert not any(room.frame(next(reply)) for _ in range(20))


def test_the_first_half_second_is_only_listened_to():
    """Nobody knows how loud the first reply's echo will be: nothing passes until that is known."""
    room = _Room()
    room.quiet(0.5)
    heard = room.talk_over(1.5, 6000.0)
    audible = heard.index(False)
    assert not any(heard[audible : audible + 25])


def test_a_loudspeaker_that_is_turned_up():
    """A few seconds later the echo is known anew; nothing was done about it meanwhile."""
    room = _Room(echo=0.05)
    room.quiet(0.5)
    assert not any(room.reply(4.0)[40:])
    room.echo = 0.8
    room.reply(10.0, 4)
    assert sum(room.reply(5.0, 5)) < 5


def test_a_loudspeaker_that_is_turned_down():
    """Two seconds later somebody who is as loud as the old echo is heard."""
    room = _Room(echo=0.8)
    room.quiet(0.5)
    room.reply(4.0)
    room.echo = 0.05
    room.reply(3.0, 4)
    assert any(room.talk_over(0.5, 3000.0))


def test_short_words_do_not_teach_it_that_a_person_is_the_echo():
    """Somebody who says "yes" every three seconds is heard each time."""
    room = _Room()
    room.quiet(0.5)
    room.reply(3.0)
    reply = _speech(4000.0, 2)
    for _ in range(8):
        yes = [room.frame(next(reply), _noise(4000.0, room.frames)) for _ in range(15)]
        assert any(yes)
        for _ in range(150):
            room.frame(next(reply))


def test_what_is_still_to_be_played_is_no_echo_yet():
    """A sound card that takes samples long before they sound."""
    gate = EchoGate()
    loud = _pcm(_noise(6000.0, 1))
    for index in range(50):
        gate.played(loud, 110.0 + index * _FRAME_S)
    assert gate.captured(loud, 109.0) == loud
    assert gate.captured(loud, 110.5) == bytes(len(loud))


def _frames(text: str) -> list[_Frame]:
    samples = np.frombuffer(speak(text, _RATE), "<i2").astype(np.float64)
    return list(samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME))


def test_real_voices():
    """A voice is kept back to the last frame; another that interrupts it is there at once."""
    reply = _frames("Why do you need a holiday, and what would you like to do all day long then?")
    person = _frames("Stop it please. I want something else.")
    loud = [level_dbfs(_pcm(frame)) > -35 for frame in person]
    room = _Room()
    room.quiet(0.5)
    alone = [(room.frame(frame), level_dbfs(_pcm(room.back(room.delay)))) for frame in reply * 2]
    assert all(level < -44 for passed, level in alone if passed)
    # The server takes the reply back half a second after the first word.
    over = [*reply[:25], *([None] * (len(person) - 25))]
    heard = [room.frame(frame, word) for frame, word in zip(over, person, strict=True)]
    passed = [one for one, is_loud in zip(heard, loud, strict=True) if is_loud]
    assert passed.index(True) <= 6
    assert sum(passed) > 0.9 * len(passed)
