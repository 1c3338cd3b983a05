"""Microphone and loudspeaker, with a sound card made of Python."""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections.abc import Callable
from typing import Any

import pytest

from clients.echo_gate import EchoGate
from clients.sound_card import (
    PLAYBACK_RATE,
    QUEUED_FRAMES,
    Microphone,
    SoundCardMissing,
    Speaker,
    sound_card,
    sound_device,
)
from tests.clients.fake_time import FakeTime


class FakeSoundDevice:
    """Records the streams it makes; `broken` names the one that fails."""

    class PortAudioError(Exception):
        """As the real one."""

    def __init__(self, broken: str = "") -> None:
        self.streams: list[FakeStream] = []
        self._broken = broken

    def RawInputStream(self, **options: Any) -> FakeStream:
        return self._stream("input", options)

    def RawOutputStream(self, **options: Any) -> FakeStream:
        return self._stream("output", options)

    def _stream(self, name: str, options: dict[str, Any]) -> FakeStream:
        if name == self._broken:
            raise self.PortAudioError(f"no {name} device")
        self.streams.append(FakeStream(options))
        return self.streams[-1]


class FakeStream:
    """A stream that is driven by hand."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.callback: Callable[..., None] = options["callback"]
        self.latency = 0.05
        self.state = "made"

    def start(self) -> None:
        self.state = "started"

    def close(self) -> None:
        self.state = "closed"


async def test_what_the_microphone_hears_is_sent():
    """Frames pass from the card's thread to the caller, in order, until it is stopped."""
    time = FakeTime()
    microphone, device = Microphone(16_000, time.clock), FakeSoundDevice()
    with sound_card(device, microphone, Speaker()):
        capture = device.streams[0]
        assert (capture.options["samplerate"], capture.options["blocksize"]) == (16_000, 320)
        frames = microphone.frames()
        for level in (b"a", b"b"):
            capture.callback(bytearray(level * 640), 320, None, None)
        assert await anext(frames) == b"a" * 640
        assert await anext(frames) == b"b" * 640
        microphone.voice_ended(100.5)
        assert microphone.voice_ended_at == 100.5
        microphone.heard_from(0.0)
        microphone.stop()
        with pytest.raises(StopAsyncIteration):
            await anext(frames)
    assert {stream.state for stream in device.streams} == {"closed"}


async def test_stop_ends_a_stream_that_still_has_frames():
    """What was not sent yet is not sent after the person is done."""
    microphone = Microphone(16_000, FakeTime().clock)
    microphone.captured(b"a")
    microphone.captured(b"b")
    frames = microphone.frames()
    assert await anext(frames) == b"a"
    microphone.stop()
    with pytest.raises(StopAsyncIteration):
        await anext(frames)


async def test_what_the_loudspeaker_plays_is_not_sent():
    """The gate learns what the card plays and when it sounds; whoever watches is told."""
    time, gate = FakeTime(), EchoGate()
    watched: list[bool] = []
    microphone = Microphone(16_000, time.clock, gate, lambda _pcm, echo: watched.append(echo))
    speaker, device = Speaker(), FakeSoundDevice()
    voice = array("h", [5000, -5000] * 160).tobytes()
    with sound_card(device, microphone, speaker):
        capture, output = device.streams
        frames = microphone.frames()
        capture.callback(voice, 320, None, None)
        assert await anext(frames) == voice
        speaker.play(array("h", [5000, -5000] * 4800).tobytes(), PLAYBACK_RATE)
        for _ in range(5):
            output.callback(bytearray(1920), 960, None, None)
            await time.sleep(0.02)
        capture.callback(voice, 320, None, None)
        assert await anext(frames) == bytes(640)
    assert watched == [False, True]


async def test_after_the_end_nothing_is_watched():
    """Frames that the card's thread still had under way are dropped."""
    watched: list[bool] = []
    microphone = Microphone(16_000, FakeTime().clock, watch=lambda _pcm, echo: watched.append(echo))
    microphone.captured(bytes(640))
    microphone.stop()
    await asyncio.sleep(0)
    assert watched == []


async def test_a_network_that_is_too_slow():
    """The newest frames are dropped once enough are waiting."""
    time = FakeTime()
    microphone = Microphone(16_000, time.clock)
    for index in range(QUEUED_FRAMES + 5):
        microphone.captured(str(index).encode())
    await time.sleep(0)
    frames = microphone.frames()
    taken = [await anext(frames) for _ in range(QUEUED_FRAMES)]
    assert taken[-1] == str(QUEUED_FRAMES - 1).encode()
    microphone.captured(b"next")
    assert await anext(frames) == b"next"


async def test_replies_sound():
    """Samples are brought to the card's rate, queued, and followed by silence."""
    speaker, device = Speaker(), FakeSoundDevice()
    with sound_card(device, Microphone(16_000, FakeTime().clock), speaker):
        assert speaker.latency_s == 0.05
        output = device.streams[1]
        assert output.options["samplerate"] == PLAYBACK_RATE
        speaker.play(b"", 16_000)
        speaker.play(array("h", [5000] * 1600).tobytes(), 16_000)
        heard = bytearray(2 * 4000)
        output.callback(heard, 4000, None, None)
        assert max(array("h", heard)) == pytest.approx(5000, rel=0.1)
        rest = bytearray(2 * 4000)
        output.callback(rest, 4000, None, None)
        assert array("h", rest)[-1] == 0


def test_a_flush_is_heard_at_once():
    """What was queued is gone."""
    speaker = Speaker()
    speaker.play(array("h", [5000] * 4800).tobytes(), PLAYBACK_RATE)
    assert any(speaker.take(100))
    speaker.flush()
    assert speaker.take(100) == bytes(100)


@pytest.mark.parametrize("broken", ["input", "output"])
async def test_a_sound_card_that_cannot_be_used(broken: str):
    """One line with its reason; what was open is closed."""
    device = FakeSoundDevice(broken)
    microphone = Microphone(16_000, FakeTime().clock)
    with (
        pytest.raises(SoundCardMissing, match=f"no {broken} device"),
        sound_card(device, microphone, Speaker()),
    ):
        pass
    assert {stream.state for stream in device.streams} <= {"closed"}


def test_without_the_package(monkeypatch: pytest.MonkeyPatch):
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SoundCardMissing, match="pip install sounddevice"):
        sound_device()


def test_without_portaudio(monkeypatch: pytest.MonkeyPatch):
    """The package is there, the system's library is not."""

    def fail(_name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("clients.sound_card.importlib.import_module", fail)
    with pytest.raises(SoundCardMissing, match=r"libportaudio2.*not found"):
        sound_device()
