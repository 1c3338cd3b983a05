"""The agent's replies: started, held back, paused, resumed, cut off, and what history keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deployments.contracts import Message, Tool
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import CancelReply, Command, StartReply, Tell, WakeReply
from serve_app.conversation.finals import HeardTurn
from serve_app.conversation.history import History
from serve_app.conversation.live_reply import LiveReply
from serve_app.conversation.playout import Playout
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.reply_requests import ReplyRequests
from serve_app.conversation.snapshot import CutReply
from serve_app.conversation.tool_choice import ToolChoice
from serve_app.conversation.tooling import ToolEvent, ToolRounds

_BY_ITSELF = ev.ReplyRequested()
"""What a reply to a turn is: as in any reply of the call."""


@dataclass(slots=True)
class Speculation:
    """Replies that were begun before their turn was committed, and those of them in vain."""

    started: int = 0
    dropped: int = 0


class Replying:
    """What the agent says. One reply is live; with speculation another may be held back."""

    def __init__(self, policy: TurnPolicy, history: History, out: list[Command]) -> None:
        self._policy = policy
        self._history = history
        self._out = out
        self._live: LiveReply | None = None
        self._held: LiveReply | None = None
        self._over: LiveReply | None = None
        self.requests = ReplyRequests(out)
        self.begun = 0
        self.speaks = True
        self._spoiled: HeardTurn | None = None
        self.client_tools: tuple[Tool, ...] = ()
        self.tool_choice = ToolChoice()
        self.continues = True
        self.speculation = Speculation()

    @property
    def active(self) -> bool:
        """A reply is being made or played."""
        return self._live is not None

    @property
    def live_id(self) -> str | None:
        """The id of that reply."""
        return self._live.reply_id if self._live else None

    @property
    def audible(self) -> Playout | None:
        """The playout of the reply that the caller hears, if any."""
        return self._live.playout if self._live and self._live.playout.started else None

    def cut_off(self, now: float) -> CutReply | None:
        """The live reply, if the call broke off now."""
        return self._live.cut_off(now) if self._live else None

    def answer(self, turns: list[HeardTurn], now: float) -> None:
        """Turns are complete: one reply to them goes out, the one before it ends."""
        self.interrupt(now)
        *earlier, turn = turns
        self.remember(earlier)
        held, self._held = self._held, None
        messages = self._history.messages(said=turn.text)
        self.remember([turn])
        # The words may turn out others; instructions, or what was heard of the reply before, may
        # have changed since it began.
        if held and held.messages == messages:
            self._make_live(held, turn, now)
            held.playout.release()
            self._out.append(WakeReply(held.reply_id))
            return
        if held:
            self._drop(held)
        reply = self._start(messages, Playout(self._policy.playout))
        self._make_live(reply, turn, now)

    def answer_typed(self, text: str, now: float) -> None:
        """The caller typed a turn."""
        self.answer([HeardTurn(0, text, now, 0.0, 0.0)], now)

    def remember(self, turns: list[HeardTurn]) -> None:
        """Turns are complete; nobody answers them now."""
        for turn in turns:
            self._history.add_caller(turn.text, turn.message_id)

    def start_requested(self, now: float) -> None:
        """Begin the reply that was asked for first, unless one is in progress."""
        request = None if self._live else self.requests.take()
        if request is None:
            return
        messages = request.messages
        if messages is None:
            messages = self._history.messages(instructions=request.instructions)
        reply = self._start(messages, Playout(self._policy.playout), request=request)
        self._make_live(reply, HeardTurn(0, "", now, 0.0, 0.0), now)

    def speculate(self, guess: HeardTurn | None, *, room: bool) -> None:
        """Follow the guess at the open turn: begin its reply, or drop one that guessed wrong.

        Without `room` none is begun.
        """
        if self._policy.speculation == "off" or not self.speaks:
            return
        if self._held and guess != self._held.guess:
            self._drop(self._held)
            self._held = None
        if guess and room and self._held is None and guess != self._spoiled:
            self._held = self._start_held(guess)

    def interrupt(self, now: float) -> None:
        """End the live reply now; history keeps what was heard of it."""
        reply = self._live
        if reply is None:
            return
        self._out.append(CancelReply(reply.reply_id))
        if reply.playout.pause(now):
            self._out.append(Tell(say.ReplyFlushed(reply.reply_id)))
        self._close(reply, "interrupted", reply.heard(now))

    def pause(self, now: float) -> bool:
        """The caller may be interrupting: hold the reply. False if there is none to hold."""
        reply = self._live
        if reply is None or reply.paused_at is not None or reply.deaf:
            return False
        reply.paused_at = now
        if not self._policy.resumes:
            reply.playout.hold()
        elif reply.playout.pause(now):
            reply.recalled = True
            self._out.append(Tell(say.ReplyFlushed(reply.reply_id)))
        self._out.append(WakeReply(reply.reply_id))
        return True

    def resume(self, now: float) -> None:
        """It was no interruption: a paused reply goes on."""
        reply = self._live
        if reply is None:
            return
        reply.deaf = False
        if reply.paused_at is not None:
            self._go_on(reply, now - reply.paused_at)

    def written(self, event: ev.ReplyTextWritten) -> None:
        """More of a reply's text."""
        for reply in (self._live, self._held):
            if reply and reply.reply_id == event.reply_id:
                reply.text += event.delta
                # The text of a reply without a voice is its first sound.
                reply.speaking = reply.speaking or not reply.speaks
                if reply is self._live:
                    self._out.append(Tell(say.ReplyText(reply.reply_id, event.delta)))

    def tools(self, event: ToolEvent, now: float) -> None:
        """The model called tools, or one of them ended."""
        for reply in (self._live, self._held):
            if reply:
                reply.rounds.handle(event, now)
        if isinstance(event, ev.ToolAnswered) and not self.continues:
            self._history.answer(event.call_id, self._policy.tools.cut(event.result))

    def speaking(self, event: ev.ReplySpeaking, now: float) -> None:
        """A reply's first audio left."""
        reply = self._live
        if reply is None or reply.reply_id != event.reply_id:
            return
        reply.speaking = True
        self._out.append(Tell(reply.timings(event, now)))

    def finished(self, event: ev.ReplyFinished, now: float) -> None:
        """A reply is over. One that failed before the commit is started again at the commit."""
        if self._held and self._held.reply_id == event.reply_id:
            self._spoiled = self._held.guess
            self._held = None
            self.speculation.dropped += 1
        reply = self._live
        if reply is None or reply.reply_id != event.reply_id:
            return
        if event.error is None:
            self._close(reply, "completed", reply.text.strip())
            return
        self._fail(reply, event.error, now)

    def played(self, event: ev.PlaybackReported) -> None:
        """The client played this much of a reply."""
        if self._live and self._live.reply_id == event.reply_id:
            self._live.playout.played(event.played_ms)

    def truncate(self, event: ev.ReplyTruncated, now: float) -> None:
        """The client says how much it played of a reply, be it the last one that ended."""
        for reply in (self._live, self._over):
            if reply and reply.reply_id == event.reply_id:
                reply.playout.truncate(event.played_ms)
                if reply is self._over:
                    self._history.cut(reply.reply_id, reply.heard(now))

    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        reply = self._live
        if reply is None:
            return None
        if reply.paused_at is not None:
            return reply.paused_at + self._policy.resume_after_ms / 1000
        if reply.rounds.open:
            return reply.rounds.deadline()
        if not reply.speaking:
            awaited_from = max(reply.awaited_from, reply.rounds.over_at)
            return awaited_from + self._policy.stage_timeout_ms / 1000
        return None

    def tick(self, now: float) -> None:
        """Go on with a reply no words came against; give up on one that never spoke."""
        reply, due = self._live, self.deadline()
        if reply is None or due is None or now < due:
            return
        if reply.paused_at is not None:
            reply.deaf = True
            self._go_on(reply, now - reply.paused_at)
            return
        if reply.rounds.open:
            reply.rounds.expire(now)
            return
        self._out.append(CancelReply(reply.reply_id))
        self._fail(reply, ("stage_timeout", "the reply did not come in time"), now)

    def _start_held(self, guess: HeardTurn) -> LiveReply:
        policy = self._policy.playout
        if self._policy.speculation == "llm":
            policy = replace(policy, max_held_ms=0)
        self.speculation.started += 1
        messages = self._history.messages(said=guess.text)
        return self._start(messages, Playout(policy, released=False), guess)

    def _drop(self, held: LiveReply) -> None:
        self.speculation.dropped += 1
        self._out.append(CancelReply(held.reply_id))

    def _start(
        self,
        messages: tuple[Message, ...],
        playout: Playout,
        guess: HeardTurn | None = None,
        request: ev.ReplyRequested = _BY_ITSELF,
    ) -> LiveReply:
        self.begun += 1
        reply_id = f"reply-{self.begun}"
        speaks = self.speaks if request.speaks is None else request.speaks
        choice = request.tool_choice or self.tool_choice
        rounds = ToolRounds(
            self._policy.tools,
            self.client_tools if request.tools is None else request.tools,
            reply_id,
            messages,
            self._out,
            choice=choice,
            continues=self.continues,
        )
        tools = rounds.tools if request.text is None else ()
        must_call = bool(tools) and choice.must
        asked = (tools, request.text, request.voice, speaks, must_call)
        self._out.append(StartReply(reply_id, messages, playout, *asked))
        return LiveReply(reply_id, messages, playout, rounds, guess, request, speaks)

    def _make_live(self, reply: LiveReply, turn: HeardTurn, now: float) -> None:
        reply.committed_at = turn.committed_at
        reply.awaited_from = now
        reply.pause_ms = turn.pause_ms
        reply.stt_ms = turn.stt_ms
        self._live = reply
        self._out.append(Tell(say.ReplyStarted(reply.reply_id, reply.request.request_id)))
        # What was said before a call is told before it.
        if reply.text:
            self._out.append(Tell(say.ReplyText(reply.reply_id, reply.text)))
        reply.rounds.commit(now)

    def _go_on(self, reply: LiveReply, paused_s: float) -> None:
        # The time a reply was paused is neither the pipeline's nor the stages'.
        reply.committed_at += paused_s
        reply.awaited_from += paused_s
        reply.paused_at = None
        from_ms = reply.playout.resume()
        if reply.recalled:
            reply.recalled = False
            self._out.append(Tell(say.ReplyResumed(reply.reply_id, from_ms)))
        self._out.append(WakeReply(reply.reply_id))

    def _fail(self, reply: LiveReply, error: tuple[str, str], now: float) -> None:
        self._out.append(Tell(say.CallError(*error)))
        heard = reply.heard(now)
        # Without a voice the text still reached the client, who read it.
        self._close(reply, "failed", heard if reply.playout.started else reply.text.strip())

    def _close(self, reply: LiveReply, status: say.ReplyStatus, heard: str) -> None:
        self._live, self._over = None, reply
        if reply.request.remembered:
            before, after = reply.rounds.exchanges()
            self._history.add_exchange(before)
            self._history.add_agent(heard, reply.reply_id)
            self._history.add_exchange(after)
        self._out.append(Tell(say.ReplyDone(reply.reply_id, status, heard)))
