"""The control: one call over a fake socket, with stages that take no time."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from websockets.asyncio.server import ServerConnection

from bench.clip import Clip, make_clip
from bench.microphone import FRAME_BYTES, Tape
from bench.systems.control import ControlCall, Stages
from deployments.backends.llm_timed import TimedLanguageModel
from deployments.backends.stt_timed import TimedSpeechToText
from deployments.backends.tts_timed import TimedTextToSpeech

SETTLE_FRAMES = 50
PAUSE = 25


class Socket:
    """Gives frames as fast as they are taken, each turn once the one before is answered."""

    def __init__(self, *turns: Iterable[bytes]) -> None:
        self._turns = turns
        self._audio = asyncio.Event()
        self.sent: list[str | bytes] = []

    async def send(self, message: str | bytes) -> None:
        self.sent.append(message)
        if isinstance(message, bytes):
            self._audio.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for turn in self._turns:
            for frame in turn:
                yield frame
            await self._audio.wait()

    @property
    def events(self) -> list[str]:
        """Types of the JSON messages."""
        return [json.loads(sent)["type"] for sent in self.sent if isinstance(sent, str)]


@pytest.fixture(scope="module")
def clip() -> Clip:
    """The clip that callers speak."""
    return make_clip()


@pytest.fixture
def stages() -> Iterator[Stages]:
    """Stages that answer at once, with a long sentence."""
    with ThreadPoolExecutor(4) as threads:
        yield Stages(
            TimedSpeechToText(final_ms=0, partial_ms=0),
            TimedLanguageModel(first_token_ms=0, token_ms=0, text="A reply that is long. Truly."),
            TimedTextToSpeech(first_audio_ms=0, rtf=0, ms_per_char=60),
            threads,
        )


def frames(clip: Clip, *, ended: bool) -> list[bytes]:
    """A second of silence and the clip; `ended`: and the pause after it."""
    tape = Tape()
    silence = [tape.read() for _ in range(SETTLE_FRAMES)]
    start = tape.put(clip.pcm, 0)
    spoken = (start * 2 + len(clip.pcm)) // FRAME_BYTES - SETTLE_FRAMES
    return silence + [tape.read() for _ in range(spoken + PAUSE * ended)]


@pytest.mark.parametrize("early", [False, True])
async def test_turn_is_answered(clip: Clip, stages: Stages, early: bool) -> None:
    """A turn ends, and its audio comes."""
    socket = Socket(frames(clip, ended=True))
    async with asyncio.timeout(20):
        await ControlCall(cast(ServerConnection, socket), stages, early).run()
    audio = [sent for sent in socket.sent if isinstance(sent, bytes)]
    assert audio[0][:5] == b"\x01" + (24_000).to_bytes(4, "little")
    assert len(audio[0]) == 5 + 24_000 * 80 // 1000 * 2
    assert not socket.events or socket.events == ["timings"]


async def test_speech_interrupts_a_reply(clip: Clip, stages: Stages) -> None:
    """Six voice frames while a reply is spoken flush it, and no more of it follows."""
    socket = Socket(frames(clip, ended=True), frames(clip, ended=False))
    async with asyncio.timeout(20):
        await ControlCall(cast(ServerConnection, socket), stages, early=False).run()
    assert "flush" in socket.events
    flushed = socket.sent.index('{"type": "flush"}')
    assert not any(isinstance(sent, bytes) for sent in socket.sent[flushed:])
