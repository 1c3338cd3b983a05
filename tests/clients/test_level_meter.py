"""What a person sees of the microphone."""

from __future__ import annotations

import random
from array import array

from clients.level_meter import FRAMES_A_LINE, LevelMeter


def _frame(level: int, seed: int = 0) -> bytes:
    dice = random.Random(seed)
    return array("h", [round(dice.gauss(0, level)) for _ in range(320)]).tobytes()


def _lines(meter: LevelMeter, frame: bytes, count: int, *, echo: bool = False) -> list[str]:
    lines = [meter.push(frame, echo=echo) for _ in range(count)]
    return [line for line in lines if line is not None]


def test_ten_lines_a_second():
    """Each has the loudest of its frames."""
    meter = LevelMeter()
    assert len(_lines(meter, _frame(30), 50)) == 50 // FRAMES_A_LINE
    quiet = [meter.push(_frame(30)) for _ in range(FRAMES_A_LINE - 1)]
    assert quiet == [None] * (FRAMES_A_LINE - 1)
    assert meter.push(_frame(8000)) == "[##################--] voice"


def test_the_bar():
    """Empty for silence, full for the loudest; no longer than that."""
    assert _lines(LevelMeter(), bytes(640), 5) == ["[--------------------] quiet"]
    loudest = array("h", [32767] * 320).tobytes()
    assert _lines(LevelMeter(), loudest, 5) == ["[####################] voice"]


def test_a_voice():
    """It is heard over the noise of the room, and to the end of its words."""
    meter = LevelMeter()
    _lines(meter, _frame(100), 300)
    assert meter.hears == "quiet", "a noisy room"
    _lines(meter, _frame(2000), 5)
    assert meter.hears == "voice"
    _lines(meter, _frame(100), 10)
    assert meter.hears == "voice", "a pause inside a word"
    _lines(meter, _frame(100), 10)
    assert meter.hears == "quiet"


def test_an_echo():
    """It is shown as what it is, however loud."""
    meter = LevelMeter()
    assert _lines(meter, _frame(2000), 5, echo=True) == ["[#############-------] echo"]
    _lines(meter, _frame(30), 5)
    assert meter.hears == "quiet"
