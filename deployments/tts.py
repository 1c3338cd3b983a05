"""Text-to-speech as a Ray Serve deployment: a phrase in, its audio as it is made out."""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedClassDecorator=false

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from ray import serve

from deployments import backends
from deployments.contracts import AudioChunk, SpeechRequest, StageInfo, TextToSpeech
from deployments.threads import in_thread


@serve.deployment(name="TextToSpeech")
class TextToSpeechDeployment:
    """One replica of the configured voice."""

    def __init__(self, backend: str, settings: dict[str, object]) -> None:
        self.serve_backend(backends.create("tts", backend, settings))

    def serve_backend(self, backend: TextToSpeech) -> None:
        """Load a backend and serve it."""
        self._backend = backend
        self._info = backend.load()

    async def describe(self) -> StageInfo:
        """What is loaded. Answers only once it is."""
        return self._info

    async def speak(self, request: SpeechRequest) -> AsyncIterator[AudioChunk]:
        """The phrase's audio. Stopping early stops the voice after the step it is in."""
        async with aclosing(in_thread(self._backend.speak(request))) as chunks:
            async for chunk in chunks:
                yield chunk

    def __del__(self) -> None:
        if hasattr(self, "_info"):
            self._backend.close()
