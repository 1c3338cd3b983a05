"""Deepgram's live transcription: one WebSocket a stream, words back while the caller speaks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from deployments.backends import register
from deployments.contracts import (
    SPEECH_RATE,
    BackendError,
    BadInput,
    LoadFailed,
    Overloaded,
    StageInfo,
    Transcript,
)
from deployments.speech import Guess, words_in_order

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

_OWN_URL = "wss://api.deepgram.com/v1/listen"


@register("stt", "deepgram", presets={"nova": {}})
class Deepgram:
    """Streams to `model` at `url` (None: Deepgram's own).

    The key is read from the environment variable that `api_key_env` names; an empty name sends
    none. `language` is for callers who do not say; `multi` lets the model tell. `timeout_s` bounds
    the wait for a connection and for the last words.
    """

    requires: ClassVar[tuple[str, ...]] = ("websockets",)

    def __init__(
        self,
        *,
        model: str = "nova-3",
        url: str | None = None,
        api_key_env: str = "DEEPGRAM_API_KEY",
        language: str = "en",
        timeout_s: float = 10.0,
    ) -> None:
        self._model = model
        self._url = url or _OWN_URL
        self._needs_key = url is None
        self._api_key_env = api_key_env
        self._language = language
        self._timeout_s = timeout_s
        self._headers: dict[str, str] = {}

    def load(self) -> StageInfo:
        """Read the key; the server is first asked by the first stream. Raises LoadFailed."""
        try:
            from websockets import exceptions
            from websockets.sync import client
        except ImportError as error:
            raise LoadFailed(f"stt backend 'deepgram' needs websockets: {error}") from error
        self._connect, self._exceptions = client.connect, exceptions
        key = os.environ.get(self._api_key_env)
        if key is None and self._needs_key:
            raise LoadFailed(f"stt backend 'deepgram' needs a key in {self._api_key_env}, or a url")
        self._headers = {"Authorization": f"Token {key}"} if key else {}
        return StageInfo(backend="deepgram", incremental=True, details={"model": self._model})

    def open(self, language: str | None) -> DeepgramStream:
        """A connection. Raises BadInput (no such model or language), Overloaded, BackendError."""
        language = language or self._language
        asked = {
            "model": self._model,
            "language": language,
            "encoding": "linear16",
            "sample_rate": SPEECH_RATE,
            "interim_results": "true",
            "punctuate": "true",
            # When a turn is over is decided here.
            "endpointing": "false",
        }
        try:
            connection = self._connect(
                f"{self._url}?{urlencode(asked)}",
                additional_headers=self._headers,
                open_timeout=self._timeout_s,
                compression=None,
                ping_interval=None,
                legacy=True,  # the connection outlives any block that could hold it
            )
        except self._exceptions.InvalidStatus as error:
            raise _told(error.response.status_code) from error
        except (OSError, self._exceptions.WebSocketException) as error:
            raise BackendError(f"no connection to Deepgram: {error}") from error
        return DeepgramStream(connection, language, self._timeout_s)

    def close(self) -> None:
        """Nothing to free: each stream has its own connection."""


class DeepgramStream:
    """One connection: what is settled, and what the server still may change."""

    def __init__(self, connection: ClientConnection, language: str, timeout_s: float) -> None:
        self._connection = connection
        self._language = None if language == "multi" else language
        self._timeout_s = timeout_s
        self._samples = 0
        self._settled: list[_Said] = []
        self._open = _Said("")

    def feed(self, pcm: bytes) -> Transcript:
        """Send the next samples; what the server has said so far, which is not waited for.

        Raises BadInput for half a sample, BackendError.
        """
        if len(pcm) % 2:
            raise BadInput("PCM of 16-bit samples cannot have an odd number of bytes")
        self._samples += len(pcm) // 2
        if pcm:
            # An empty message would end the stream.
            self._send(pcm)
        while message := self._receive(0):
            if message is _HUNG_UP:
                raise BackendError("Deepgram hung up")
            self._take(message)
        return self._transcript()

    def finish(self) -> Transcript:
        """The final transcript: the server settles all it has, and ends with its metadata."""
        self._send(json.dumps({"type": "CloseStream"}))
        due = _now() + self._timeout_s
        while message := self._receive(max(0.0, due - _now())):
            if message is _HUNG_UP or message.get("type") == "Metadata":
                return self._transcript()
            self._take(message)
        raise BackendError(f"Deepgram did not finish within {self._timeout_s:g} s")

    def close(self) -> None:
        """Drop the connection, without waiting for the server's farewell."""
        self._connection.close_socket()

    def _send(self, message: bytes | str) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            self._connection.send(message)
        except (ConnectionClosed, OSError) as error:
            raise BackendError(f"Deepgram hung up: {error}") from error

    def _receive(self, timeout_s: float) -> Mapping[str, Any] | None:
        """The next message; None: none came in time; _HUNG_UP: in good order."""
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

        try:
            return json.loads(self._connection.recv(timeout=timeout_s))
        except TimeoutError:
            return None
        except ConnectionClosedOK:
            return _HUNG_UP
        except ConnectionClosed as error:
            raise BackendError(f"Deepgram hung up: {error}") from error
        except ValueError as error:
            raise BackendError("Deepgram sent what is no JSON") from error

    def _take(self, message: Mapping[str, Any]) -> None:
        if message.get("type") != "Results":
            return
        try:
            best = message["channel"]["alternatives"][0]
            said = _Said(best["transcript"], [_guess(word) for word in best["words"]])
            settled = message["is_final"]
        except (KeyError, IndexError, TypeError) as error:
            raise BackendError(f"Deepgram sent results without {error}") from error
        if languages := best.get("languages"):
            self._language = languages[0]
        if settled:
            self._settled.append(said)
        self._open = _Said("") if settled else said

    def _transcript(self) -> Transcript:
        said = [*self._settled, self._open]
        guesses = [guess for part in said for guess in part.words]
        words = words_in_order(guesses, self._samples / SPEECH_RATE)
        return Transcript(" ".join(part.text for part in said if part.text), words, self._language)


@dataclass(frozen=True, slots=True)
class _Said:
    """The text of a stretch of audio, and its words."""

    text: str
    words: list[Guess] = field(default_factory=list[Guess])


_HUNG_UP: Mapping[str, Any] = {"type": "HungUp"}
"""In place of a message: there are no more."""


def _guess(word: Mapping[str, Any]) -> Guess:
    text = word.get("punctuated_word", word["word"])
    return Guess(text, word["start"], word["end"], word["confidence"])


def _told(status: int) -> BackendError:
    if status in (429, 503):
        return Overloaded(f"Deepgram has no room: {status}")
    if status in (400, 404):
        return BadInput(f"Deepgram refuses the model or the language: {status}")
    return BackendError(f"Deepgram refuses the connection: {status}")


def _now() -> float:
    return time.monotonic()
