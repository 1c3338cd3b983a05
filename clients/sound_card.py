"""Microphone and loudspeaker, through the optional package sounddevice."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast

from clients.audio_file import Resampler
from clients.caller import FRAME_MS
from clients.echo_gate import EchoGate

PLAYBACK_RATE: Final = 48_000
"""Sample rate of the loudspeaker, in Hz: the one that every sound card has."""

QUEUED_FRAMES: Final = 250
"""Microphone frames that may wait for the network. Overflow policy: the newest is dropped."""

_BYTES_PER_SAMPLE = 2


class SoundCardMissing(Exception):
    """No microphone or no loudspeaker can be used. The text is one line."""


class _Stream(Protocol):
    latency: float

    def start(self) -> None: ...

    def close(self) -> None: ...


class SoundDevice(Protocol):
    """What is used of the module sounddevice, which has no types."""

    PortAudioError: type[Exception]

    def RawInputStream(self, **options: Any) -> _Stream: ...

    def RawOutputStream(self, **options: Any) -> _Stream: ...


def sound_device() -> SoundDevice:
    """The module, loaded. Raises SoundCardMissing."""
    try:
        return cast("SoundDevice", importlib.import_module("sounddevice"))
    except ImportError as error:
        raise SoundCardMissing(
            "--mic needs the package sounddevice: pip install sounddevice"
        ) from (error)
    except OSError as error:
        raise SoundCardMissing(
            f"--mic needs PortAudio (Debian: libportaudio2; macOS: brew install portaudio): {error}"
        ) from error


class Microphone:
    """A caller who is a person: speaks until `stop`."""

    def __init__(
        self,
        rate: int,
        clock: Callable[[], float],
        gate: EchoGate | None = None,
        watch: Callable[[bytes, bool], None] | None = None,
    ) -> None:
        """`rate` in Hz; `clock` in seconds. Make it on the event loop that sends.

        `gate` keeps back what a loudspeaker plays; `watch` is told of each frame, and whether it
        was kept back.
        """
        self.rate = rate
        self.voice_ended_at: float | None = None
        self._clock = clock
        self._gate = gate
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUED_FRAMES)
        self._stopping = asyncio.Event()

    def captured(self, pcm: bytes) -> None:
        """The next 20 ms. For the sound card's thread."""
        self._loop.call_soon_threadsafe(self._queue, pcm)

    def beside(self, pcm: bytes, delay_s: float) -> None:
        """The loudspeaker is going to play this, at 48 kHz. For the sound card's thread."""
        if self._gate is not None:
            at = self._clock() + delay_s
            self._loop.call_soon_threadsafe(self._gate.played, pcm, at)

    def stop(self) -> None:
        """The person is done. For the event loop."""
        self._stopping.set()
        if self._frames.empty():
            self._frames.put_nowait(None)

    async def frames(self) -> AsyncGenerator[bytes]:
        """See Caller."""
        while not self._stopping.is_set():
            frame = await self._frames.get()
            if frame is None:
                return
            yield frame

    def heard_from(self, now: float) -> None:
        """A person decides alone when to give up."""

    def voice_ended(self, at: float) -> None:
        """See Caller: what the server found is all that is known of a live voice."""
        self.voice_ended_at = at

    def _queue(self, pcm: bytes) -> None:
        if self._stopping.is_set():
            return
        sent = pcm if self._gate is None else self._gate.captured(pcm, self._clock())
        if self._watch is not None:
            self._watch(pcm, self._gate is not None and self._gate.shut)
        if not self._frames.full():
            self._frames.put_nowait(sent)


class Speaker:
    """The loudspeaker's queue. The sound card's thread takes from it."""

    def __init__(self) -> None:
        """Nothing queued; `latency_s` is set when the sound card is open."""
        self.latency_s = 0.0
        self._lock = threading.Lock()
        self._queued = bytearray()
        self._resampler = Resampler(PLAYBACK_RATE, PLAYBACK_RATE)

    def play(self, pcm: bytes, rate: int) -> None:
        """See Loudspeaker."""
        if not pcm:
            return
        if rate != self._resampler.rate:
            self._resampler = Resampler(rate, PLAYBACK_RATE)
        samples = self._resampler.push(pcm)
        with self._lock:
            self._queued += samples

    def flush(self) -> None:
        """See Loudspeaker."""
        with self._lock:
            self._queued.clear()

    def take(self, size: int) -> bytes:
        """The next `size` bytes to play, filled up with silence. For the sound card's thread."""
        with self._lock:
            taken = bytes(self._queued[:size])
            del self._queued[:size]
        return taken.ljust(size, b"\0")


@contextmanager
def sound_card(device: SoundDevice, microphone: Microphone, speaker: Speaker) -> Generator[None]:
    """Both ends open and running, closed on exit. Raises SoundCardMissing."""

    def capture(data: Any, _frames: int, _time: object, _status: object) -> None:
        microphone.captured(bytes(data))

    def render(out: Any, frames: int, _time: object, _status: object) -> None:
        out[:] = taken = speaker.take(frames * _BYTES_PER_SAMPLE)
        microphone.beside(taken, speaker.latency_s)

    streams: list[_Stream] = []
    try:
        for make, rate, callback in (
            (device.RawInputStream, microphone.rate, capture),
            (device.RawOutputStream, PLAYBACK_RATE, render),
        ):
            stream = make(
                samplerate=rate,
                channels=1,
                dtype="int16",
                blocksize=rate * FRAME_MS // 1000,
                latency="low",
                callback=callback,
            )
            streams.append(stream)
            stream.start()
        speaker.latency_s = streams[-1].latency
        yield
    except device.PortAudioError as error:
        raise SoundCardMissing(f"the sound card cannot be used: {error}") from error
    finally:
        for stream in streams:
            stream.close()
