"""One reply, as one cancellable scope: text → phrases → audio → pacing.

Cancelling the task stops all of it: the text and the audio that are being made on the
replicas, and what was made and not sent. It owns no decision: the playout says what may leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from deployments.contracts import Message, SpeechRequest, Tool, ToolCall, Urgency
from deployments.logs import logger
from serve_app.audio.downlink import Downlink, Packet
from serve_app.conversation import announcements as say
from serve_app.conversation import commands as do
from serve_app.conversation import events as ev
from serve_app.conversation.phrases import shortened
from serve_app.conversation.playout import Playout
from serve_app.errors import StageError
from serve_app.reply_text import ReplyText
from serve_app.stages import Stages
from serve_app.tools import ToolRunner

log = logger("reply")

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
    tools: ToolRunner | None = None
    """Runs our own tools, where the operator has configured some."""


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
        self._tts_ms: float | None = None
        self._max_chars: int | None = None
        self._queued: asyncio.Timeout | None = None
        self._text = ReplyText(reply_id, stages, options.language or "en", options.llm_url, report)
        self._tasks: asyncio.TaskGroup | None = None
        self._speaks = True

    def wake(self) -> None:
        """The playout was released, paused or resumed."""
        if self._queued and self._playout.released:
            self._queued.reschedule(0)
            self._queued = None
        self._downlink.reset()
        self._room.set()
        self._changed.set()

    def perform(self, command: do.RunTool | do.ContinueReply | do.EndReply | do.WakeReply) -> None:
        """What the turn machine wants done about this reply. A tool that runs ends with it."""
        match command:
            case do.RunTool(call=call):
                assert self._tasks is not None, "its text calls for a tool while it is made"
                self._tasks.create_task(self._run_tool(call))
            case do.ContinueReply(messages=messages, tools=tools):
                self._text.ask(messages, tools)
            case do.EndReply():
                self._text.end()
            case do.WakeReply():
                self.wake()

    async def run(
        self,
        messages: tuple[Message, ...],
        tools: tuple[Tool, ...] = (),
        *,
        text: str | None = None,
        speaks: bool = True,
        must_call: bool = False,
    ) -> None:
        """Until everything was played, or cancellation. Stage failures are reported, not raised.

        With `text` no model is asked; a reply that does not speak is over once it is written.
        `must_call`: the model is to call one of `tools`.
        """
        self._speaks = speaks
        if text is None:
            self._text.ask(messages, tools, must_call=must_call)
        else:
            self._text.give(text)
        try:
            await self._make()
        except* _GivenUp:
            pass
        await self._report(ev.ReplyFinished(self._reply_id, self._told_error()))

    async def _make(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._write())
                if self._speaks:
                    self._tasks.create_task(self._voice())
                    await self._pace()
        except asyncio.CancelledError as cancelled:
            # A group's frame and its exception's traceback hold each other, and the group its
            # task: the reply and its call would be kept until the collector comes by.
            raise cancelled.with_traceback(None) from None
        finally:
            self._tasks = None

    async def _write(self) -> None:
        """The text → phrases. A failure ends them with the apology."""
        try:
            await self._text.write(self._say)
        except StageError as error:
            self._failed(error)
            await self._say([self._options.apology])
        await self._say([None])

    async def _say(self, phrases: Sequence[str | None]) -> None:
        """Phrases for the voice, if it speaks; None ends them."""
        for phrase in phrases if self._speaks else ():
            await self._phrases.put(phrase)

    async def _run_tool(self, call: ToolCall) -> None:
        assert self._options.tools is not None, "only configured tools are ours"
        result = await self._options.tools.run(call)
        await self._report(ev.ToolFinished(self._reply_id, call.call_id, result))

    async def _voice(self) -> None:
        """Phrases → audio in the playout; a phrase the voice fails on is left out."""
        try:
            while (phrase := await self._phrases.get()) is not None:
                for piece in self._pieces(phrase):
                    await self._voice_piece(piece)
        except asyncio.CancelledError as cancelled:
            # As above: a time-out holds the task that it was for.
            raise cancelled.with_traceback(None) from None
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
                for text, start_ms in self._playout.begun():
                    self._send(say.PhraseBegun(self._reply_id, text, start_ms))
                self._send_audio(self._downlink.encode(piece.pcm, piece.rate))
                if first:
                    first = False
                    llm_ms, tts_ms = self._text.llm_ms or 0.0, self._tts_ms or 0.0
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
        log.warning("%s: %s", self._reply_id, error)
        self._error = self._error or error
        if not self._playout.released:
            raise _GivenUp from error

    def _told_error(self) -> tuple[str, str] | None:
        """A failure in a sentence for the client: the details are for the log."""
        if self._error is None:
            return None
        return self._error.code, _SENTENCES[self._error.stage]
