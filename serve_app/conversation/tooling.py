"""The tool calls of one reply: which may run, what came of them, and what the model is told. Pure.

A round is what the model called before it waited. Each call of it ends in one text: what the tool
gave, or why it gave nothing; when all have ended the model goes on. Nothing is run before the
turn is committed. A client that asks for each reply itself (not `continues`) answers in its own
time: the reply ends with the calls.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from deployments.contracts import Message, Tool, ToolCall
from serve_app.conversation.announcements import ToolCalled
from serve_app.conversation.commands import Command, ContinueReply, EndReply, RunTool, Tell
from serve_app.conversation.events import ToolAnswered, ToolFinished, ToolsCalled
from serve_app.conversation.history import UNANSWERED
from serve_app.conversation.tool_choice import ToolChoice

CALLS_AT_ONCE = 8
"""Calls of a round that are run. Overflow policy: the model is told that the others were not."""

ToolEvent: TypeAlias = ToolsCalled | ToolFinished | ToolAnswered


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """`own`: the tools that this server runs. `client_ms`: how long a client may take to answer.

    After `max_rounds` rounds the model gets no tools, and must answer with what it has.
    """

    own: tuple[Tool, ...] = ()
    max_rounds: int = 4
    client_ms: int = 15_000
    max_result_chars: int = 4_000

    def cut(self, result: str) -> str:
        """As much of what a tool gave as the model is shown."""
        most = self.max_result_chars
        return result if len(result) <= most else result[:most] + " (cut)"


class ToolRounds:
    """The rounds of one reply, of which at most the last is open. Commands go to `out`."""

    def __init__(
        self,
        policy: ToolPolicy,
        clients: Sequence[Tool],
        reply_id: str,
        asked: tuple[Message, ...],
        out: list[Command],
        *,
        choice: ToolChoice,
        continues: bool,
    ) -> None:
        self._policy = policy
        self._own = {tool.name for tool in policy.own}
        clients = [tool for tool in clients if tool.name not in self._own]
        self._clients = {tool.name for tool in clients}
        self._reply_id = reply_id
        self._asked = asked
        self._out = out
        self._continues = continues
        self._left_to_client = False
        self._committed = False
        self._past: tuple[Message, ...] = ()
        self._calls: tuple[ToolCall, ...] = ()
        self._results: dict[str, str] = {}
        self._at_client: set[str] = set()
        self._rounds = 0
        self._begun_at = 0.0
        self.over_at = 0.0
        """When the last round was over."""
        self.tools: tuple[Tool, ...] = choice.of((*policy.own, *clients))
        """What the model may call."""

    @property
    def open(self) -> bool:
        """The model waits for tools."""
        return bool(self._calls) and not self._left_to_client

    def commit(self, now: float) -> None:
        """The turn is complete: what was called meanwhile is run."""
        self._committed = True
        if self._calls:
            self._begin(now)

    def handle(self, event: ToolEvent, now: float) -> None:
        """What another reply, or nobody, waits for is dropped; so are second answers."""
        match event:
            case ToolsCalled(reply_id=reply_id, calls=calls) if reply_id == self._reply_id:
                self._calls = calls
                if self._committed:
                    self._begin(now)
            case ToolFinished(reply_id=reply_id) if reply_id == self._reply_id:
                self._end(event.call_id, event.result, now)
            case ToolAnswered(call_id=call_id) if call_id in self._at_client:
                self._end(call_id, event.result, now)
            case _:
                pass

    def deadline(self) -> float | None:
        """When the client's answers are late. Our own tools have time-outs of their own."""
        if not self._continues or self._at_client <= self._results.keys():
            return None
        return self._begun_at + self._policy.client_ms / 1000

    def expire(self, now: float) -> None:
        """Give up on the client's answers."""
        for call_id in self._at_client:
            self._results.setdefault(call_id, "error: the tool did not answer in time")
        self._mind(now)

    def exchanges(self) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        """The rounds as the model sees them: those it went on from, and one left to the client."""
        if self._left_to_client:
            return self._past, self._present()
        return (*self._past, *self._present()), ()

    def _present(self) -> tuple[Message, ...]:
        if not (self._calls and self._committed):
            return ()
        results = (
            Message("tool", self._result(call.call_id), tool_call_id=call.call_id)
            for call in self._calls
        )
        return (Message("assistant", "", self._calls), *results)

    def _result(self, call_id: str) -> str:
        if call_id in self._at_client and not self._continues:
            return self._results.get(call_id, UNANSWERED)
        return self._results.get(call_id, "error: interrupted, it may have been done or not")

    def _begin(self, now: float) -> None:
        """Run the calls: our own tools here, the client's there."""
        self._begun_at = now
        self._rounds += 1
        for at, call in enumerate(self._calls):
            if at >= CALLS_AT_ONCE:
                self._results[call.call_id] = "error: too many calls at once"
            elif call.name not in self._own | self._clients:
                self._results[call.call_id] = "error: there is no such tool"
            elif not _is_object(call.arguments_json):
                self._results[call.call_id] = "error: the arguments are not a JSON object"
            elif call.name in self._own:
                self._out.append(RunTool(self._reply_id, call))
            else:
                self._at_client.add(call.call_id)
                told = ToolCalled(self._reply_id, call.call_id, call.name, call.arguments_json)
                self._out.append(Tell(told))
        self._mind(now)

    def _end(self, call_id: str, result: str, now: float) -> None:
        if any(call.call_id == call_id for call in self._calls):
            self._results.setdefault(call_id, self._policy.cut(result))
            self._mind(now)

    def _mind(self, now: float) -> None:
        """The model goes on when all calls have ended, or does not where the client is to ask."""
        leave = bool(self._at_client) and not self._continues
        ended = {*self._results, *(self._at_client if leave else ())}
        if self._left_to_client or any(call.call_id not in ended for call in self._calls):
            return
        if leave:
            self._left_to_client = True
            self.over_at = now
            self._out.append(EndReply(self._reply_id))
            return
        self._past = (*self._past, *self._present())
        self._calls = ()
        self._results.clear()
        self._at_client.clear()
        self.over_at = now
        last = self._rounds >= self._policy.max_rounds
        messages = (*self._asked, *self._past)
        self._out.append(ContinueReply(self._reply_id, messages, () if last else self.tools))


def _is_object(arguments_json: str) -> bool:
    try:
        return isinstance(json.loads(arguments_json, parse_constant=_refuse), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
