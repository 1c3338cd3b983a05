"""ElevenLabs' voices, streamed with the times of words."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from deployments.backends import register
from deployments.contracts import (
    AudioChunk,
    BackendError,
    BadInput,
    LoadFailed,
    Overloaded,
    SpeechRequest,
    SpokenWord,
    StageInfo,
)
from deployments.language_tags import primary_language

if TYPE_CHECKING:
    from httpx2 import Response

_RATE = 24_000
_TAKES_LANGUAGE = frozenset({"eleven_flash_v2_5", "eleven_turbo_v2_5"})
"""Models that may be told the language; the others refuse to be."""
_STARTS = "character_start_times_seconds"
_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_LOOK_AHEAD = 16
"""Characters of a text that its alignment may leave out in one place."""


@register(
    "tts",
    "elevenlabs",
    presets={
        "eleven_flash_v2_5": {"model": "eleven_flash_v2_5"},
        "eleven_multilingual_v2": {"model": "eleven_multilingual_v2"},
    },
)
class ElevenLabs:
    """Speaks with `voice`, an id or a name of the account's voices.

    The key is read from the environment variable that `api_key_env` names. `stability`,
    `similarity_boost` (0 to 1) and `speed` (0.7 to 1.2) are the voice's own where None.
    `timeout_s` bounds the wait for a connection and for each next piece.
    """

    requires: ClassVar[tuple[str, ...]] = ("httpx2",)

    def __init__(
        self,
        *,
        voice: str = "JBFqnCBsd6RMkjVDRZzb",
        model: str = "eleven_flash_v2_5",
        stability: float | None = None,
        similarity_boost: float | None = None,
        speed: float | None = None,
        base_url: str = "https://api.elevenlabs.io",
        api_key_env: str = "ELEVENLABS_API_KEY",
        timeout_s: float = 10.0,
    ) -> None:
        self._voice = voice
        self._model = model
        fields = {"stability": stability, "similarity_boost": similarity_boost, "speed": speed}
        self._manner = {name: value for name, value in fields.items() if value is not None}
        self._base_url = base_url
        self._api_key_env = api_key_env
        self._timeout_s = timeout_s

    def load(self) -> StageInfo:
        """Ask the server for the account's voices. Raises LoadFailed."""
        try:
            import httpx2
        except ImportError as error:
            raise LoadFailed(f"tts backend 'elevenlabs' needs httpx2: {error}") from error
        key = os.environ.get(self._api_key_env)
        if not key:
            raise LoadFailed(f"tts backend 'elevenlabs' needs a key in {self._api_key_env}")
        self._broken = httpx2.HTTPError
        self._client = httpx2.Client(
            base_url=self._base_url, headers={"xi-api-key": key}, timeout=self._timeout_s
        )
        try:
            self._ids = self._voices()
        except BackendError as error:
            self._client.close()
            raise LoadFailed(f"tts backend 'elevenlabs': {error}") from error
        names = tuple(sorted({*self._ids, *self._ids.values()}))
        details = {"model": self._model, "rate": str(_RATE)}
        return StageInfo(backend="elevenlabs", voices=names, slots=None, details=details)

    def speak(self, request: SpeechRequest) -> Generator[AudioChunk, None, None]:
        """The phrase as the server makes it; closing the iterator closes the connection.

        Raises BadInput (an unknown voice, a text it refuses), Overloaded (429, 503), BackendError.
        """
        text = request.text.encode(errors="ignore").decode()
        if not text.strip():
            return
        voice = self._voice_id(request.voice or self._voice)
        body: dict[str, object] = {"text": text, "model_id": self._model}
        if self._manner:
            body["voice_settings"] = self._manner
        if request.language is not None and self._model in _TAKES_LANGUAGE:
            body["language_code"] = primary_language(request.language)
        try:
            with self._client.stream(
                "POST",
                f"/v1/text-to-speech/{voice}/stream/with-timestamps",
                params={"output_format": f"pcm_{_RATE}"},
                json=body,
            ) as response:
                self._check(response)
                yield from _chunks(text, response.iter_lines())
        except self._broken as error:
            raise BackendError(f"ElevenLabs broke off: {type(error).__name__}") from error

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _voice_id(self, voice: str) -> str:
        """The id of a name or an id: part of the address, so nothing else goes there."""
        voice_id = self._ids.get(voice, voice)
        if not _ID.fullmatch(voice_id):
            raise BadInput(f"ElevenLabs has no voice {voice[:64]!r}", "voice_not_found")
        return voice_id

    def _voices(self) -> dict[str, str]:
        """Names → ids of the account's voices; empty where the key may not list them."""
        try:
            response = self._client.get("/v1/voices")
        except self._broken as error:
            raise BackendError(f"{self._base_url} does not answer: {error}") from error
        if response.status_code in (401, 403) and "missing_permissions" in response.text:
            return {}
        self._check(response)
        listed = cast("list[dict[str, str]]", response.json()["voices"])
        return {voice["name"]: voice["voice_id"] for voice in listed}

    def _check(self, response: Response) -> None:
        """Raise what an answer that is none stands for."""
        status = response.status_code
        if status == 200:
            return
        response.read()
        kind, message = _detail(response.text)
        if status in (429, 503):
            raise Overloaded(f"ElevenLabs has no room: {message}")
        if "voice" in kind and "not_found" in kind:
            raise BadInput(f"ElevenLabs has no such voice: {message}", "voice_not_found")
        if status in (400, 404, 413, 422):
            raise BadInput(f"ElevenLabs refuses the request: {message}")
        if status == 401 and kind != "quota_exceeded":
            raise BackendError(f"ElevenLabs refuses the key in {self._api_key_env}: {message}")
        raise BackendError(f"ElevenLabs answered {status}: {message}")


def _detail(text: str) -> tuple[str, str]:
    """What kind of error an answer tells of, and in which words."""
    try:
        detail = json.loads(text)["detail"]
    except (ValueError, KeyError, TypeError):
        return "", "no reason given"
    if isinstance(detail, list):  # One entry a field.
        return "validation", "; ".join(
            str(_get(entry, "msg")) for entry in cast("list[Any]", detail)
        )
    return f"{_get(detail, 'status')}{_get(detail, 'code')}", str(_get(detail, "message"))


def _get(fields: Any, name: str) -> object:
    return cast("Mapping[str, object]", fields).get(name, "") if isinstance(fields, dict) else ""


def _chunks(text: str, lines: Iterator[str]) -> Generator[AudioChunk, None, None]:
    """Each line's audio with the words whose beginning it tells. Raises BackendError."""
    words = _Words(text)
    held, due = b"", list[SpokenWord]()
    for line in lines:
        if not line.strip():
            continue
        try:
            audio, aligned = _event(line)
            due += words.begun(aligned)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise BackendError("ElevenLabs sent a line that cannot be read") from error
        held += audio
        whole = len(held) // 2 * 2
        if whole:
            yield AudioChunk(held[:whole], _RATE, tuple(due))
            held, due = held[whole:], []


def _event(line: str) -> tuple[bytes, list[tuple[str, float]]]:
    """A line's audio, and its characters with when they begin, in seconds of the phrase."""
    event: Any = json.loads(line)
    alignment: Any = event.get("alignment") or {"characters": [], _STARTS: []}
    aligned = zip(alignment["characters"], alignment[_STARTS], strict=False)
    return base64.b64decode(event.get("audio_base64") or ""), list(aligned)


class _Words:
    """Where the words of a text begin, told character by character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = {match.start(): match.end() for match in re.finditer(r"\S+", text)}
        self._position = 0

    def begun(self, aligned: list[tuple[str, float]]) -> tuple[SpokenWord, ...]:
        """The words that begin among the next characters; spaces say nothing."""
        spoken: list[SpokenWord] = []
        for character, start_s in aligned:
            if not character.strip():
                continue
            found = self._text.find(character, self._position, self._position + _LOOK_AHEAD)
            if found < 0:
                continue
            starts = [start for start in self._ends if self._position <= start <= found]
            at_ms = round(start_s * 1000)
            spoken += [SpokenWord(start, self._ends[start], at_ms) for start in starts]
            self._position = found + len(character)
        return tuple(spoken)
