"""Any server that speaks OpenAI's `/v1/audio/speech`: OpenAI itself, vLLM-Omni, Kokoro, Parley."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar

from deployments import openai_client
from deployments.backends import register
from deployments.contracts import (
    AudioChunk,
    BackendError,
    SpeechRequest,
    StageInfo,
)

if TYPE_CHECKING:
    from openai import APIError


@register(
    "tts",
    "openai",
    presets={
        "gpt-4o-mini-tts": {"model": "gpt-4o-mini-tts"},
        "tts-1": {"model": "tts-1", "voice": "alloy"},
    },
)
class OpenAISpeech:
    """Streams speech of `model` from `base_url` (None: OpenAI's own), as PCM of `rate` Hz.

    The key is read from the environment variable that `api_key_env` names; an empty name sends
    none. `instructions` say how to speak, to models that listen to them. `timeout_s` bounds the
    wait for a connection and for each next piece. Words have no times.
    """

    requires: ClassVar[tuple[str, ...]] = ("openai",)

    def __init__(
        self,
        *,
        model: str = "gpt-4o-mini-tts",
        voice: str = "marin",
        instructions: str | None = None,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        rate: int = 24_000,
        timeout_s: float = 10.0,
    ) -> None:
        self._model = model
        self._voice = voice
        self._instructions = instructions
        self._base_url = base_url
        self._api_key_env = api_key_env
        self._rate = rate
        self._timeout_s = timeout_s

    def load(self) -> StageInfo:
        """Open a client; the server is first asked by the first phrase. Raises LoadFailed."""
        self._openai = openai_client.library("tts")
        key = openai_client.key_for("tts", self._api_key_env, self._base_url)
        import httpx2  # openai's own

        self._broken = httpx2.HTTPError
        # Whether to ask again is the ingress' decision: it knows if anything was heard.
        self._client = self._openai.OpenAI(
            base_url=self._base_url,
            api_key=key,
            timeout=self._timeout_s,
            max_retries=0,
        )
        return StageInfo(
            backend="openai", slots=None, details={"model": self._model, "rate": str(self._rate)}
        )

    def speak(self, request: SpeechRequest) -> Generator[AudioChunk, None, None]:
        """The phrase as the server sends it; closing the iterator closes the connection.

        Raises BadInput (the server refuses the request), Overloaded (429, 503), BackendError.
        """
        if not request.text.strip():
            return
        speech = self._client.audio.speech.with_streaming_response
        try:
            with speech.create(
                model=self._model,
                voice=request.voice or self._voice,
                input=request.text.encode(errors="ignore").decode(),
                instructions=self._instructions or self._openai.omit,
                response_format="pcm",
            ) as response:
                held = b""
                for data in response.iter_bytes():
                    if not held and data.startswith(b"RIFF"):
                        raise BackendError("the server sends wav where pcm was asked for")
                    held += data
                    whole = len(held) // 2 * 2
                    if whole:
                        yield AudioChunk(held[:whole], self._rate)
                    held = held[whole:]
        except self._openai.APIError as error:
            raise self._told(error) from error
        except self._broken as error:
            raise BackendError(f"the server broke off: {type(error).__name__}") from error

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _told(self, error: APIError) -> BackendError:
        if openai_client.status_of(error) in (401, 403):
            where = self._api_key_env or "api_key_env"
            return BackendError(f"the server refuses the key: set {where}")
        return openai_client.told(error)
