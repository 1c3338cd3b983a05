"""The voice's shell with a backend that clones: registered voices reach it as recordings."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from deployments.contracts import AudioChunk, BadInput, Cloning, SpeechRequest, StageInfo, Voice
from deployments.tts import TextToSpeechDeployment
from deployments.voices import VoiceStore
from tests.recordings import tone_wav

PATIENCE_S = 5.0
WAV = tone_wav(4.0)
Replica = cast(Any, TextToSpeechDeployment).func_or_class


class Cloner:
    """A TextToSpeech that says its recording, after `go_on`; it keeps something derived."""

    def __init__(self, cloning: Cloning | None = Cloning(min_s=3.0)) -> None:  # noqa: B008
        self.cloning = cloning
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def load(self) -> StageInfo:
        """See TextToSpeech."""
        return StageInfo("cloner", voices=("robot",), slots=None)

    def speak(self, request: SpeechRequest) -> Iterator[AudioChunk]:
        """See TextToSpeech."""
        self.entered.set()
        assert self.go_on.wait(PATIENCE_S)
        if request.recording is None:
            yield AudioChunk((request.voice or "default").encode(), 16_000)
            return
        recording = Path(request.recording)
        recording.with_name("cloner.npy").write_bytes(b"derived")
        yield AudioChunk(recording.read_bytes(), 24_000)

    def close(self) -> None:
        """See TextToSpeech."""


def serving(cloner: Cloner, folder: Path) -> Any:
    """A replica whose voices are kept in a folder."""
    replica = Replica.__new__(Replica)
    replica.serve_backend(cloner, VoiceStore(str(folder)))
    return replica


async def spoken(replica: Any, voice: str | None) -> bytes:
    """What a phrase in a voice sounds like."""
    async with aclosing(replica.speak(SpeechRequest("hello", voice=voice))) as chunks:
        return b"".join([chunk.pcm async for chunk in chunks])


def files(folder: Path) -> list[Path]:
    """All that lies somewhere in a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_registered_voice_is_spoken_with_at_every_replica(tmp_path: Path) -> None:
    """Those that run, and one that starts later; the backend's own need no recording."""
    one, other = serving(Cloner(), tmp_path), serving(Cloner(), tmp_path)
    voice = await one.register_voice("anna", WAV)
    assert (voice.name, voice.seconds) == ("anna", 4.0)
    assert voice.created_at > 1_700_000_000
    restarted = serving(Cloner(), tmp_path)
    for replica in (one, other, restarted):
        assert await replica.voices() == (Voice("robot"), voice)
        assert await spoken(replica, "anna") == WAV
    assert await spoken(other, "robot") == b"robot"
    assert await spoken(other, None) == b"default"


async def test_deleting_a_voice_spares_the_phrase_that_runs(tmp_path: Path) -> None:
    """It is spoken to its end; the next is refused, and nothing is left on disk."""
    cloner = Cloner()
    replica, other = serving(cloner, tmp_path), serving(Cloner(), tmp_path)
    await replica.register_voice("anna", WAV)
    cloner.go_on.clear()
    running = asyncio.create_task(spoken(replica, "anna"))
    assert await asyncio.to_thread(cloner.entered.wait, PATIENCE_S)
    await other.delete_voice("anna")
    assert await other.voices() == (Voice("robot"),)
    cloner.go_on.set()
    assert await running == WAV
    with pytest.raises(BadInput, match="no registered voice 'anna'"):
        await spoken(replica, "anna")
    assert not files(tmp_path)


class Preparing(Cloner):
    """One that makes something of a voice at once, or cannot; as long as `go_on` is unset."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.prepared: list[bytes] = []

    def load(self) -> StageInfo:
        """One phrase at a time."""
        return StageInfo("cloner")

    def prepare(self, recording: Path) -> None:
        """See TextToSpeech."""
        self.entered.set()
        assert self.go_on.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        self.prepared.append(recording.read_bytes())


async def test_a_voice_is_prepared_when_it_is_registered(tmp_path: Path) -> None:
    """Its first phrase then need not wait for that."""
    cloner = Preparing()
    replica = serving(cloner, tmp_path)
    await replica.register_voice("anna", WAV)
    assert cloner.prepared == [WAV]
    assert (await replica.capacity()).running == 0


async def test_preparing_takes_the_slot_of_a_phrase(tmp_path: Path) -> None:
    """The voice is never in two things at once, even if whoever registers goes away."""
    cloner = Preparing()
    cloner.go_on.clear()
    replica = serving(cloner, tmp_path)
    registering = asyncio.create_task(replica.register_voice("anna", WAV))
    assert await asyncio.to_thread(cloner.entered.wait, PATIENCE_S)
    registering.cancel()
    await asyncio.wait([registering])
    assert (await replica.capacity()).running == 1
    phrase = asyncio.create_task(spoken(replica, None))
    cloner.go_on.set()
    assert await phrase == b"default"
    assert cloner.prepared == [WAV]


async def test_a_recording_that_the_model_cannot_use_is_not_kept(tmp_path: Path) -> None:
    """The model's words reach whoever registers."""
    replica = serving(Preparing(BadInput("nothing but music")), tmp_path)
    with pytest.raises(BadInput, match="nothing but music"):
        await replica.register_voice("anna", WAV)
    assert not files(tmp_path)
    assert (await replica.capacity()).running == 0


async def test_a_voice_that_was_never_registered(tmp_path: Path) -> None:
    """BadInput, and the slot is free again."""
    replica = serving(Cloner(), tmp_path)
    with pytest.raises(BadInput, match="no registered voice 'nobody'"):
        await spoken(replica, "nobody")
    assert (await replica.capacity()).running == 0


async def test_what_a_stage_says_of_cloning(tmp_path: Path) -> None:
    """How long a recording it needs; nothing if it has voices of its own alone."""
    assert (await serving(Cloner(), tmp_path).describe()).cloning == Cloning(min_s=3.0)
    assert (await serving(Cloner(None), tmp_path).describe()).cloning is None


async def test_a_backend_that_does_not_clone_refuses_voices(tmp_path: Path) -> None:
    """With a code of its own; it lists its own voices and makes no directory."""
    replica = serving(Cloner(None), tmp_path / "voices")
    for ask in (replica.register_voice("anna", WAV), replica.delete_voice("anna")):
        with pytest.raises(BadInput, match="voices of its own alone") as caught:
            await ask
        assert caught.value.code == "cloning_not_supported"
    assert await replica.voices() == (Voice("robot"),)
    assert await spoken(replica, "anna") == b"anna"
    await replica.check_health()
    assert not (tmp_path / "voices").exists()


async def test_the_health_check_removes_what_nothing_names(tmp_path: Path) -> None:
    """As a voice that another machine deleted."""
    replica = serving(Cloner(), tmp_path)
    await replica.register_voice("anna", WAV)
    (tmp_path / "names" / "anna.json").unlink()
    await replica.check_health()
    assert not files(tmp_path)
    replica.__del__()
