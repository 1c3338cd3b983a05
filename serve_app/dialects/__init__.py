"""Wire protocols as sans-IO codecs, one file each; this one says what a dialect is.

A dialect turns a WebSocket's messages into client events and announcements into messages. It
holds no socket, no clock and no audio codec: it names the audio formats, the ear and the
playout convert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from serve_app.conversation.announcements import Announcement
from serve_app.conversation.events import ClientEvent


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How audio is carried one way. `rate` in Hz; None means each message names its own."""

    codec: Literal["pcm16", "opus"]
    rate: int | None


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What a client asked for when it connected; None means the server's default."""

    uplink: AudioFormat
    downlink: AudioFormat
    voice: str | None = None
    language: str | None = None
    llm_url: str | None = None
    resume: str | None = None


class Dialect(Protocol):
    """One protocol spoken on one socket."""

    request: CallRequest

    def decode(self, message: str | bytes) -> list[ClientEvent]:
        """The events a message stands for. Raises PeerError; the dialect stays usable."""
        ...

    def encode(self, announcement: Announcement) -> list[str | bytes]:
        """The messages that carry an announcement, in order; none where the protocol has none."""
        ...
