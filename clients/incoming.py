"""A server's messages as events, their audio decoded: what is known of a call on the way in."""

from __future__ import annotations

from collections.abc import Callable

from clients import wire
from clients.events import Audio, Event, Payload, Ready, ReplyResumed, ReplyStarted
from clients.opus import DECODED_RATE, BadPacket, OpusDecoder


class Incoming:
    """One call's, over all its connections. `clock`, in seconds, says when audio was received."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.ready: Ready | None = None
        """The last one."""
        self._clock = clock
        self._decoder = OpusDecoder()
        self._reply_id = ""

    def event(self, message: str | bytes) -> Event:
        """What a message says. Raises wire.BadMessage."""
        event = wire.parse(message)
        if isinstance(event, Ready):
            self.ready = event
        if isinstance(event, ReplyStarted | ReplyResumed):
            self._reply_id = event.reply_id
        return self._audio(event) if isinstance(event, Payload) else event

    def _audio(self, payload: Payload) -> Audio:
        at = self._clock()
        if payload.codec == "pcm16":
            return Audio(payload.data, payload.rate, self._reply_id, at)
        try:
            pcm = self._decoder.decode(payload.data)
        except BadPacket as error:
            raise wire.BadMessage(str(error)) from error
        return Audio(pcm, DECODED_RATE, self._reply_id, at)
