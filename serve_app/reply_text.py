"""The text of one reply, from the model's rounds or as it was given: reported, and cut in phrases.

A round is what the model writes before it waits for tools.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from deployments.contracts import Message, ReplyItem, ReplyRequest, TextDelta, Tool, ToolCall
from serve_app.conversation import events as ev
from serve_app.conversation.phrases import PhraseCutter
from serve_app.conversation.spoken_text import SpokenText
from serve_app.stages import Stages


class ReplyText:
    """Writes one reply. `report` takes events for the turn machine."""

    def __init__(
        self,
        reply_id: str,
        stages: Stages,
        language: str,
        llm_url: str | None,
        report: Callable[[ev.Event], Awaitable[None]],
    ) -> None:
        self._reply_id = reply_id
        self._stages = stages
        self._language = language
        self._llm_url = llm_url
        self._report = report
        self._next_round: asyncio.Queue[ReplyRequest | str | None] = asyncio.Queue(1)
        self._round_ended = False
        self.llm_ms: float | None = None
        """What the model took to begin, in ms."""

    def ask(
        self, messages: tuple[Message, ...], tools: tuple[Tool, ...], *, must_call: bool = False
    ) -> None:
        """The next round answers `messages`, and may or must call `tools`."""
        self._next_round.put_nowait(ReplyRequest(messages, self._llm_url, tools, must_call))

    def give(self, text: str) -> None:
        """The reply is `text`; no model is asked."""
        self._next_round.put_nowait(text)

    def end(self) -> None:
        """There is no further round."""
        self._next_round.put_nowait(None)

    async def write(self, say: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        """Write round by round until one calls no tool, or is the last; `say` takes phrases.

        Raises StageError.
        """
        while (round_ := await self._next_round.get()) is not None:
            calls = await self._write_round(round_, say)
            if not calls:
                return
            self._round_ended = True
            await self._report(ev.ToolsCalled(self._reply_id, calls))

    async def _write_round(
        self, round_: ReplyRequest | str, say: Callable[[Sequence[str]], Awaitable[None]]
    ) -> tuple[ToolCall, ...]:
        """The next round: its text is written, its tool calls are returned; none: it is the last.

        A model that was given no tools has none to call, whatever it says.
        """
        given = isinstance(round_, str)
        spoken = SpokenText(self._language)
        cutter = PhraseCutter()
        calls: list[ToolCall] = []
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with aclosing(_given(round_) if given else self._stages.reply(round_)) as items:
            async for item in items:
                if self.llm_ms is None:
                    self.llm_ms = (loop.time() - asked_at) * 1000
                if isinstance(item, TextDelta):
                    await say(cutter.feed(spoken.feed(await self._written(item.text))))
                elif not given and round_.tools:
                    calls.append(item)
        await say([*cutter.feed(spoken.end()), *cutter.end()])
        return tuple(calls)

    async def _written(self, text: str) -> str:
        """Report a piece of text; where a round follows another's there is a space."""
        if self._round_ended:
            self._round_ended, text = False, f" {text}"
        await self._report(ev.ReplyTextWritten(self._reply_id, text))
        return text


async def _given(text: str) -> AsyncGenerator[ReplyItem, None]:
    """A reply that needs no model."""
    yield TextDelta(text)
