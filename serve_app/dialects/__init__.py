"""Wire protocols as sans-IO codecs, one file each; this one says what a dialect is.

A dialect turns a WebSocket's messages into client events and announcements into messages. It
holds no socket, no clock and no audio codec: it names the audio formats, the ear and the
playout convert. `routes` says how a dialect is reached, `registry` which there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from serve_app.conversation.announcements import Announcement
from serve_app.conversation.events import ClientEvent, ConfigChanged

Codec: TypeAlias = Literal["pcm16", "f32", "mulaw", "alaw", "opus"]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How audio is carried one way. `rate` in Hz; None means each message names its own."""

    codec: Codec
    rate: int | None


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What a client asked for when it connected; None means the server's default.

    `returns`: it knows what to do with a token to come back with; `resume`: such a token.
    `resumes`: it can drop a reply's audio and take it again. Not `paced`: it keeps what it gets,
    so audio is sent as it is made. `opening`: settings that count from the call's beginning.
    """

    uplink: AudioFormat
    downlink: AudioFormat
    voice: str | None = None
    language: str | None = None
    llm_url: str | None = None
    resume: str | None = None
    returns: bool = False
    resumes: bool = True
    paced: bool = True
    opening: ConfigChanged = field(default_factory=ConfigChanged)


@dataclass(frozen=True, slots=True)
class Answer:
    """A message that the protocol itself owes the client, sent as it is when its turn comes."""

    message: str | bytes


class Dialect(Protocol):
    """One protocol spoken on one socket.

    The audio formats of `request` may change with a ConfigChanged that `decode` returns.
    """

    request: CallRequest

    def decode(self, message: str | bytes) -> Sequence[ClientEvent | Answer]:
        """What a message stands for. Raises PeerError; the dialect stays usable."""
        ...

    def encode(self, announcement: Announcement) -> list[str | bytes]:
        """The messages that carry an announcement, in order; none where the protocol has none."""
        ...
