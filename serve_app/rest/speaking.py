"""A text that nobody listens to yet → speech, phrase by phrase, behind every call's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from deployments.contracts import SpeechRequest
from deployments.logs import logger
from serve_app.audio.downlink import Downlink
from serve_app.audio.encoding import RATE, FileEncoder, FileFormat
from serve_app.audio.tempo import Tempo
from serve_app.conversation.phrases import PhraseCutter, shortened
from serve_app.conversation.spoken_text import SpokenText
from serve_app.dialects import AudioFormat
from serve_app.errors import StageError
from serve_app.rest.endpoints import RestStages

log = logger("rest")

BytesStream = AsyncGenerator[bytes, None]


class BrokenOff(Exception):
    """An answer that cannot be finished: the client sees the connection break."""


def phrases(text: str, language: str | None) -> list[str]:
    """What a voice says of a text; nothing where there is nothing to say."""
    spoken, cutter = SpokenText(language or "en"), PhraseCutter()
    cut = cutter.feed(spoken.feed(text))
    return [*cut, *cutter.feed(spoken.end()), *cutter.end()]


async def speech(
    stages: RestStages, said: list[str], voice: str | None, language: str | None
) -> BytesStream:
    """The phrases as int16 mono PCM of `RATE`, as it is made. Raises StageError."""
    downlink = Downlink(AudioFormat("pcm16", RATE))
    max_chars: int | None = None
    for phrase in said:
        for piece in [phrase] if max_chars is None else shortened(phrase, max_chars):
            asked = SpeechRequest(piece, voice, language, urgency="offline")
            async with aclosing(stages.speak(asked)) as chunks:
                async for chunk in chunks:
                    max_chars = chunk.next_max_chars
                    for packet in downlink.encode(chunk.pcm, chunk.rate):
                        yield packet.payload
    for packet in downlink.finish():
        yield packet.payload


async def begun(pieces: BytesStream) -> BytesStream:
    """The same, once its first piece is there: what fails before that can still be told.

    Raises StageError.
    """
    first = await anext(pieces, b"")
    return _with_first(first, pieces)


async def encoded(pieces: BytesStream, format: FileFormat, speed: float = 1.0) -> BytesStream:
    """Speech as a file, as it is made."""
    encoder = FileEncoder(format)
    tempo = Tempo(RATE, speed) if speed != 1.0 else None
    async with aclosing(pieces):
        async for pcm in pieces:
            if tempo:
                pcm = await asyncio.to_thread(tempo.push, pcm)
            if data := await asyncio.to_thread(encoder.push, pcm):
                yield data
    if tempo and (data := encoder.push(tempo.finish())):
        yield data
    yield await asyncio.to_thread(encoder.finish)


async def unbroken(pieces: BytesStream) -> BytesStream:
    """The same, where there is no room for an error on the way: the answer breaks off."""
    try:
        async with aclosing(pieces):
            async for data in pieces:
                yield data
    except StageError as error:
        log.warning("an answer broke off: %s", error)
        raise BrokenOff("the voice stopped answering") from error


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> BytesStream:
    if first:
        yield first
    async for piece in rest:
        yield piece
