"""How a recording becomes a voice, whichever way it came: checked here, kept by its stage."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from deployments.contracts import Cloning, StageInfo, Voice
from deployments.logs import logger
from serve_app.audio.recording import read_recording
from serve_app.errors import PeerError, Stage, StageError, StageRefused

log = logger("voices")

AT_ONCE = 2
"""Recordings that one replica takes at once: each is up to 10 MB, and decoding takes a core."""


class VoiceStage(Protocol):
    """What is needed of the stages."""

    info: dict[Stage, StageInfo]

    async def register_voice(self, name: str, wav: bytes, owner: str) -> Voice:
        """Keep a voice, which is `owner`'s. Raises StageError."""
        ...


class VoiceRegistration:
    """The registrations of one ingress replica."""

    def __init__(self, stages: VoiceStage) -> None:
        self._stages = stages
        self._running = 0

    @contextmanager
    def room(self) -> Generator[None]:
        """Held while a recording is taken and registered. Raises PeerError where none is left,
        or the voice needs no recordings."""
        self._cloning()
        if self._running >= AT_ONCE:
            raise PeerError("rate_limit_exceeded", "other uploads are under way", status=429)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def register(self, name: str, recording: bytes, owner: str) -> Voice:
        """Check a file of any common format and keep it. Raises PeerError, StageError."""
        cloning = self._cloning()
        wav = await asyncio.to_thread(read_recording, recording, cloning.min_s, cloning.max_s)
        return await self._stages.register_voice(name, wav, owner)

    async def offered(self, name: str, recording: bytes, owner: str) -> Voice:
        """The same for a recording that is here already. Raises PeerError alone."""
        try:
            with self.room():
                return await self.register(name, recording, owner)
        except StageRefused as error:
            raise PeerError(error.fault, error.told) from error
        except StageError as error:
            log.warning("no voice was registered: %s", error)
            raise PeerError(error.code, "the voice is not available") from error

    def _cloning(self) -> Cloning:
        tts = self._stages.info.get("tts")
        if tts is None:
            raise PeerError("not_ready", "the models are loading", status=503)
        if tts.cloning is None:
            text = f"{tts.backend} has voices of its own alone"
            raise PeerError("cloning_not_supported", text)
        return tts.cloning
