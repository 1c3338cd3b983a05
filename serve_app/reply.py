"""One reply, as one cancellable scope: the model's text → phrases → audio → pacing.

Cancelling the task stops all of it: the text and the audio that are being made on the
replicas, and what was made and not sent. It owns no decision: the playout says what may leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from deployments.contracts import Message, ReplyRequest, SpeechRequest, TextDelta, Urgency
from serve_app.audio.downlink import Downlink, Packet
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.phrases import PhraseCutter, shortened
from serve_app.conversation.playout import Playout
from serve_app.conversation.spoken_text import SpokenText
from serve_app.errors import StageError
from serve_app.stages import Stages

PHRASES_AHEAD = 8
"""Phrases that may wait for the voice; a full queue stops the reading of the model's text."""

_SENTENCES = {
    "llm": "the language model is not available",
    "tts": "the voice is not available",
    "stt": "speech recognition is not available",
}


class _GivenUp(Exception):
    """The reply failed while it was held back: nobody will know, the commit starts another."""


@dataclass(frozen=True, slots=True)
class ReplyOptions:
    """What a call settled for its replies. `voice`, `language` None: the stage's own."""

    voice: str | None
    language: str | None
    llm_url: str | None
    apology: str


class Reply:
    """Makes one reply and sends it. `report` takes events for the turn machine."""

    def __init__(
        self,
        reply_id: str,
        playout: Playout,
        stages: Stages,
        options: ReplyOptions,
        downlink: Downlink,
        send: Callable[[say.Announcement], None],
        report: Callable[[ev.Event], Awaitable[None]],
    ) -> None:
        self._reply_id = reply_id
        self._playout = playout
        self._stages = stages
        self._options = options
        self._downlink = downlink
        self._send = send
        self._report = report
        self._phrases: asyncio.Queue[str | None] = asyncio.Queue(PHRASES_AHEAD)
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._error: StageError | None = None
        self._llm_ms: float | None = None
        self._tts_ms: float | None = None
        self._max_chars: int | None = None
        self._queued: asyncio.Timeout | None = None
        self._speaks = True

    def wake(self) -> None:
        """The playout was released, paused or resumed."""
        if self._queued and self._playout.released:
            self._queued.reschedule(0)
            self._queued = None
        self._downlink.reset()
        self._room.set()
        self._changed.set()

    async def run(
        self, messages: tuple[Message, ...], *, text: str | None = None, speaks: bool = True
    ) -> None:
        """Until everything was played, or cancellation. Stage failures are reported, not raised.

        With `text` no model is asked; a reply that does not speak is over once it is written.
        """
        self._speaks = speaks
        deltas = self._ask(messages) if text is None else _given(text)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write(deltas))
                if speaks:
                    tasks.create_task(self._voice())
                    await self._pace()
        except* _GivenUp:
            pass
        await self._report(ev.ReplyFinished(self._reply_id, self._told_error()))

    def _ask(self, messages: tuple[Message, ...]) -> AsyncGenerator[TextDelta, None]:
        return self._stages.reply(ReplyRequest(messages, self._options.llm_url))

    async def _write(self, source: AsyncGenerator[TextDelta, None]) -> None:
        """The model's text → phrases. A failure ends them with the apology."""
        spoken = SpokenText(self._options.language or "en")
        cutter = PhraseCutter()
        try:
            await self._read_text(source, spoken, cutter)
        except StageError as error:
            self._failed(error)
            await self._say([self._options.apology])
        else:
            await self._say([*cutter.feed(spoken.end()), *cutter.end()])
        await self._say([None])

    async def _say(self, phrases: Sequence[str | None]) -> None:
        """Phrases for the voice, if it speaks; None ends them."""
        for phrase in phrases if self._speaks else ():
            await self._phrases.put(phrase)

    async def _read_text(
        self, source: AsyncGenerator[TextDelta, None], spoken: SpokenText, cutter: PhraseCutter
    ) -> None:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with aclosing(source) as deltas:
            async for delta in deltas:
                if self._llm_ms is None:
                    self._llm_ms = (loop.time() - asked_at) * 1000
                await self._report(ev.ReplyTextWritten(self._reply_id, delta.text))
                await self._say(cutter.feed(spoken.feed(delta.text)))

    async def _voice(self) -> None:
        """Phrases → audio in the playout; a phrase the voice fails on is left out."""
        while (phrase := await self._phrases.get()) is not None:
            for piece in self._pieces(phrase):
                await self._voice_piece(piece)
        self._playout.end()
        self._changed.set()

    def _pieces(self, phrase: str) -> list[str]:
        """The phrase as it is, or shorter ones where the voice said that others wait for it."""
        if self._max_chars is None:
            return [phrase]
        return shortened(phrase, self._max_chars)

    async def _voice_piece(self, phrase: str) -> None:
        while not self._playout.wants_more:
            self._room.clear()
            await self._room.wait()
        self._playout.begin_phrase(phrase)
        try:
            await self._speak(phrase)
            self._playout.end_phrase()
        except StageError as error:
            self._failed(error)

    async def _speak(self, phrase: str) -> None:
        """A phrase that waits behind more urgent ones when its reply is released is asked for
        again, as one of them."""
        released = asyncio.timeout(None)
        try:
            async with released:
                await self._ask_voice(phrase, released)
        except TimeoutError:
            await self._ask_voice(phrase, None)
        finally:
            self._queued = None

    async def _ask_voice(self, phrase: str, released: asyncio.Timeout | None) -> None:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with aclosing(self._stages.speak(self._speech_request(phrase, asked_at))) as chunks:
            async for chunk in chunks:
                self._queued = released if chunk.queued else None
                if not chunk.pcm:
                    continue
                if self._tts_ms is None:
                    self._tts_ms = (loop.time() - asked_at) * 1000
                self._max_chars = chunk.next_max_chars
                self._playout.push(chunk)
                self._changed.set()

    def _speech_request(self, phrase: str, now: float) -> SpeechRequest:
        """The phrase is due when the caller has nothing left to hear."""
        urgency: Urgency = "first" if self._playout.silent else "later"
        return SpeechRequest(
            phrase,
            self._options.voice,
            self._options.language,
            urgency=urgency if self._playout.released else "speculative",
            slack_ms=self._playout.unplayed_ms(now),
        )

    async def _pace(self) -> None:
        """Send what the playout lets go, until it is over."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            self._changed.clear()
            first = not self._playout.started
            while (piece := self._playout.take(now)) is not None:
                self._send_audio(self._downlink.encode(piece.pcm, piece.rate))
                if first:
                    first = False
                    llm_ms, tts_ms = self._llm_ms or 0.0, self._tts_ms or 0.0
                    await self._report(ev.ReplySpeaking(self._reply_id, llm_ms, tts_ms))
                self._room.set()
            over_at = self._playout.over_at()
            if over_at is not None:
                self._send_audio(self._downlink.finish())
                if over_at <= now:
                    return
            await self._wait_until(over_at or self._playout.next_at(now))

    async def _wait_until(self, at: float | None) -> None:
        """Until the playout changes, or `at` has come."""
        try:
            async with asyncio.timeout_at(at):
                await self._changed.wait()
        except TimeoutError:
            return

    def _send_audio(self, packets: list[Packet]) -> None:
        for packet in packets:
            self._send(say.ReplyAudio(self._reply_id, packet.rate, packet.payload))

    def _failed(self, error: StageError) -> None:
        """Remember a failure; the first is told. Raises _GivenUp in a reply that is held back."""
        self._error = self._error or error
        if not self._playout.released:
            raise _GivenUp from error

    def _told_error(self) -> tuple[str, str] | None:
        """A failure in a sentence for the client: the details are for the log."""
        if self._error is None:
            return None
        return self._error.code, _SENTENCES[self._error.stage]


async def _given(text: str) -> AsyncGenerator[TextDelta, None]:
    """A reply that needs no model."""
    yield TextDelta(text)
