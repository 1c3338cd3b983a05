"""The three stages as a call sees them, and how a turn's speech reaches the recogniser."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from typing import Any, Protocol

from ray.serve.handle import DeploymentHandle

from deployments.contracts import (
    SPEECH_RATE,
    AudioChunk,
    ReplyItem,
    ReplyRequest,
    SpeechCapacity,
    SpeechRequest,
    SpeechWindow,
    StageInfo,
    StreamLost,
    Task,
    Transcript,
    Voice,
)
from deployments.language_tags import primary_language
from serve_app.errors import (
    PeerError,
    Stage,
    StageError,
    StageFailed,
    StageOverloaded,
    StageRefused,
)
from serve_app.hop import Hop
from serve_app.settings import StageSettings

OFFLINE_S = 60.0
"""How long a window of a file may take."""
_PIECE_BYTES = SPEECH_RATE
"""Half a second of samples."""


class Transcriber(Protocol):
    """Transcribes one call's turns."""

    async def transcribe(self, pcm: bytes, turn_id: int, *, final: bool) -> Transcript:
        """The transcript of a turn's window, 16 kHz PCM. Raises StageError."""
        ...


class Stages(Protocol):
    """What a call needs of the graph."""

    async def check(
        self, voice: str | None, language: str | None, recogniser: str | None = None
    ) -> None:
        """Raises PeerError where no stage has the voice, the language or the recogniser's model."""
        ...

    def transcriber(self, call_id: str, language: str | None) -> Transcriber:
        """A transcriber for one call."""
        ...

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyItem, None]:
        """A reply as it is written. Raises StageError. Close it to stop the work."""
        ...

    def speak(self, request: SpeechRequest) -> AsyncGenerator[AudioChunk, None]:
        """A phrase's audio as it is made. Raises StageError. Close it to stop the work."""
        ...


class RayStages:
    """The stages behind Ray Serve handles, shared by all calls of an ingress replica."""

    def __init__(
        self,
        stt: tuple[DeploymentHandle[Any], StageSettings],
        llm: tuple[DeploymentHandle[Any], StageSettings],
        tts: tuple[DeploymentHandle[Any], StageSettings],
    ) -> None:
        self._stt = Hop("stt", *stt)
        self._llm = Hop("llm", *llm)
        self._tts = Hop("tts", *tts)
        self.info: dict[Stage, StageInfo] = {}

    async def describe(self, stage: Stage) -> StageInfo:
        """Wait until a stage is loaded and keep what it says of itself. Raises StageError."""
        hop = {"stt": self._stt, "llm": self._llm, "tts": self._tts}[stage]
        info = await hop.describe()
        self.info[stage] = info
        return info

    async def check(
        self, voice: str | None, language: str | None, recogniser: str | None = None
    ) -> None:
        """Raises PeerError where no stage has the voice, the language or the recogniser's model.

        A registered voice is asked for anew each time: any replica may have added or removed it.
        """
        if recogniser is not None and recogniser not in (known := _names(self.info["stt"])):
            raise PeerError("invalid_request_error", f"model: here is only {', '.join(known)}")
        if voice is not None and not await self._has_voice(voice):
            raise PeerError("invalid_request_error", f"voice: there is no {voice[:40]!r} here")
        for stage in ("stt", "tts"):
            languages = self.info[stage].languages
            if language is not None and languages and primary_language(language) not in languages:
                known = ", ".join(languages)
                raise PeerError("invalid_request_error", f"language: {stage} speaks only {known}")

    async def voice_wait_ms(self) -> float:
        """How long a first phrase would wait at a replica of the voice. Raises StageError."""
        capacity: SpeechCapacity = await self._tts.call("capacity", retry=False)
        return capacity.first_wait_ms

    async def transcribe(
        self, pcm: bytes, language: str | None, task: Task = "transcribe"
    ) -> Transcript:
        """A window of 16 kHz PCM that nobody waits for, tried twice. Raises StageError.

        To translate it the recogniser must say that it can (`StageInfo.translates`).
        A recogniser with state is given it in the pieces that callers give it: one that is long
        would keep the callers of its process waiting.
        """
        if not self.info["stt"].incremental:
            window = SpeechWindow(pcm, True, language, task=task)
            return await self._stt.call("transcribe", window, retry=True, wait_s=OFFLINE_S)
        stream = _StreamTranscriber(self._stt, f"file-{uuid.uuid4().hex}", language)
        for end in range(_PIECE_BYTES, len(pcm), _PIECE_BYTES):
            await stream.transcribe(pcm[:end], 1, final=False)
        return await stream.transcribe(pcm, 1, final=True)

    def languages(self) -> list[str]:
        """The languages that recogniser and voice share; none: any, or they are loading."""
        common: set[str] = set()
        for stage in ("stt", "tts"):
            codes = set(self.info[stage].languages) if stage in self.info else set[str]()
            common = common & codes if common and codes else common | codes
        return sorted(common)

    async def voices(self) -> tuple[Voice, ...]:
        """The voices that may be asked for. Raises StageError."""
        return await self._tts.call("voices", retry=True)

    async def register_voice(self, name: str, wav: bytes, owner: str) -> Voice:
        """Keep a recording, a wav file as `SpeechRequest.recording`, as a voice of `owner`'s.

        Raises StageError. It is not tried twice: a first try that was kept refuses the second.
        """
        return await self._tts.call("register_voice", name, wav, owner, retry=False)

    async def delete_voice(self, name: str) -> None:
        """Forget a registered voice. Raises StageError."""
        await self._tts.call("delete_voice", name, retry=False)

    async def voices_of(self, owner: str) -> tuple[str, ...]:
        """The names of the voices that an owner registered. Raises StageError."""
        return await self._tts.call("voices_of", owner, retry=True)

    async def voice_recording(self, name: str) -> bytes:
        """A registered voice's recording, a wav file. Raises StageError."""
        return await self._tts.call("voice_recording", name, retry=True)

    async def _has_voice(self, voice: str) -> bool:
        tts = self.info["tts"]
        if tts.cloning is None:
            return not tts.voices or voice in tts.voices
        if voice in tts.voices:
            return True
        try:
            return voice in {known.name for known in await self.voices()}
        except StageError as error:
            raise PeerError(error.code, "voice: not to be had at the moment", status=503) from error

    def transcriber(self, call_id: str, language: str | None) -> Transcriber:
        """A transcriber that continues streams where the recogniser keeps state."""
        if self.info["stt"].incremental:
            return _StreamTranscriber(self._stt, call_id, language)
        return _WindowTranscriber(self._stt, language)

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyItem, None]:
        """A reply; started again once if the stage fails before the first item."""
        return self._llm.stream("reply", request)

    def speak(self, request: SpeechRequest) -> AsyncGenerator[AudioChunk, None]:
        """A phrase's audio; started again once if the stage fails before the first chunk."""
        return self._tts.stream("speak", request)


class _WindowTranscriber:
    """For recognisers without state: every window stands alone."""

    def __init__(self, hop: Hop, language: str | None) -> None:
        self._hop = hop
        self._language = language

    async def transcribe(self, pcm: bytes, turn_id: int, *, final: bool) -> Transcript:
        """One unary call; a final is asked for a second time if the stage fails."""
        del turn_id
        window = SpeechWindow(pcm, final, self._language)
        return await self._hop.call("transcribe", window, retry=final)


class _StreamTranscriber:
    """For recognisers with state: sends just the new samples, the whole window if they lost it."""

    def __init__(self, hop: Hop, call_id: str, language: str | None) -> None:
        self._hop = hop
        self._call_id = call_id
        self._language = language
        self._turn_id = 0
        self._fed = 0

    async def transcribe(self, pcm: bytes, turn_id: int, *, final: bool) -> Transcript:
        """`pcm` is the turn from its start; what of it was sent before is not sent again."""
        if turn_id != self._turn_id:
            self._turn_id, self._fed = turn_id, 0
        stream, offset = f"{self._call_id}/{turn_id}", self._fed
        self._fed = max(self._fed, len(pcm) // 2)
        window = SpeechWindow(pcm[offset * 2 :], final, self._language, stream, offset)
        try:
            return await self._hop.call("transcribe", window, retry=False)
        except StageRefused:
            raise
        except (StreamLost, StageError) as error:
            if turn_id == self._turn_id:
                # The stream is lost or in doubt: the next window begins it anew.
                self._fed = offset if isinstance(error, StageOverloaded) else 0
            if not final:
                raise StageFailed("stt", f"stream {stream}: {error}") from error
        whole = SpeechWindow(pcm, final, self._language, stream)
        return await self._hop.call("transcribe", whole, retry=True)


def _names(info: StageInfo) -> tuple[str, ...]:
    """What the model of a stage may be called: its backend, or the model where it says which."""
    model = info.details.get("model")
    return (info.backend, model) if model else (info.backend,)
