"""A recording that was uploaded → what is said in it, window by window."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from deployments.contracts import SPEECH_RATE, Task
from serve_app.audio.speech_file import SpeechFile
from serve_app.rest.endpoints import Service
from serve_app.rest.transcript import Heard


class Hearing:
    """One recording, heard from its beginning to its end."""

    def __init__(
        self, service: Service, file: SpeechFile, language: str | None, task: Task
    ) -> None:
        self._service = service
        self._file = file
        self._language = language
        self.task: Task = task
        self.heard = Heard()

    @classmethod
    async def of(
        cls, service: Service, data: bytes, language: str | None, task: Task = "transcribe"
    ) -> Hearing:
        """Open a file. Raises PeerError."""
        max_s = service.settings.rest.max_audio_s
        return cls(service, await asyncio.to_thread(SpeechFile, data, max_s), language, task)

    @property
    def seconds(self) -> float:
        """How much of the recording was read."""
        return self._file.seconds

    async def deltas(self) -> AsyncGenerator[str, None]:
        """What each window adds to the text. Raises PeerError, StageError."""
        # A client that leaves while a thread reads leaves it one window more to read.
        while (piece := await asyncio.to_thread(self._file.next_window)) is not None:
            async with self._service.windows:
                hear = self._service.stages.transcribe
                transcript = await hear(piece.pcm, self._language, self.task)
            length_ms = len(piece.pcm) // 2 * 1000 // SPEECH_RATE
            delta = self.heard.add(transcript, piece.start_ms, piece.start_ms + length_ms)
            if delta:
                yield delta

    async def all(self) -> Heard:
        """All that is said. Raises PeerError, StageError."""
        async for _ in self.deltas():
            pass
        return self.heard
