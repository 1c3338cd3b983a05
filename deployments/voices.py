"""Named voices: which are registered, where their recordings lie, and who is speaking with one.

    <directory>/recordings/<id>/reference.wav   and what backends derive from it, beside it
    <directory>/names/<name>.json               or with Redis a hash there: the catalogues

An id is never used twice. Whoever speaks with a voice holds a shared lock on its folder, so a
deletion, here or in another process, takes the name at once and the folder after the last phrase.
Locks are flock's: they go with the process that held them.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
import shutil
import uuid
import wave
from collections.abc import Collection, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deployments.contracts import (
    BackendError,
    BadInput,
    Cloning,
    LoadFailed,
    SpeechRequest,
    Voice,
)
from deployments.logs import logger
from deployments.voice_catalogues import (
    Catalogue,
    CatalogueLost,
    Entry,
    FileCatalogue,
    RedisCatalogue,
    write_file,
)

log = logger("voices")

RATE = 24_000
"""Sample rate of every recording, in Hz; mono, int16."""

MAX_VOICES = 1_000
"""Registered voices: 1 GB of recordings at the most."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RECORDING = "reference.wav"
_DELETED = "deleted"


def check_name(name: str, own: Collection[str]) -> None:
    """Raise BadInput unless a voice may be registered under this name."""
    if not _NAME.fullmatch(name):
        raise BadInput("a voice's name is 1 to 64 letters, digits, '-' and '_'")
    if name.casefold() in {voice.casefold() for voice in own}:
        raise BadInput(f"the model has a voice {name!r} of its own", "voice_exists")


def recorded_s(wav: bytes) -> float:
    """Length of a recording in seconds. Raises BadInput unless it is mono int16 of 24 kHz."""
    try:
        with wave.open(io.BytesIO(wav)) as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            frames = len(file.readframes(file.getnframes())) // 2
    except (wave.Error, EOFError, RuntimeError) as error:  # RuntimeError: a chunk of a bad size.
        raise BadInput(f"the recording is not a wav file: {error}") from error
    if form != (1, 2, RATE):
        raise BadInput(f"the recording is not mono int16 of {RATE} Hz")
    return frames / RATE


def check_length(seconds: float, cloning: Cloning) -> None:
    """Raise BadInput unless a recording is as long as the backend needs it."""
    if not cloning.min_s <= seconds <= cloning.max_s:
        raise BadInput(
            f"the recording is {seconds:.1f} s long; "
            f"this model needs {cloning.min_s:g} to {cloning.max_s:g} s"
        )


@dataclass(frozen=True, slots=True)
class VoiceStore:
    """Where registered voices are kept: a directory, and a Redis that several machines share."""

    directory: str = "~/.local/share/parley/voices"
    redis_url: str | None = None


class Voices:
    """The voices of one replica; other processes and machines may share them. Methods block.

    `own`: the backend's voices, that need no recording. Raises LoadFailed where the store
    cannot be used.
    """

    def __init__(self, store: VoiceStore, cloning: Cloning, own: Collection[str]) -> None:
        directory = Path(store.directory).expanduser()
        if store.redis_url is None:
            self._catalogue: Catalogue = FileCatalogue(directory)
        else:
            # Apart from what this machine alone knows: a sweep removes what Redis does not have.
            directory /= "redis"
            self._catalogue = RedisCatalogue(store.redis_url)
        self._recordings = directory / "recordings"
        self._cloning = cloning
        self._own = own
        self._seen: dict[str, Entry] = {}
        try:
            self._recordings.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LoadFailed(f"voices_dir {str(directory)!r} cannot be made: {error}") from error
        if not os.access(self._recordings, os.W_OK):
            raise LoadFailed(f"voices_dir {str(directory)!r} cannot be written to")
        self.sweep()

    def registered(self) -> list[Voice]:
        """By name. Raises CatalogueLost."""
        entries = sorted(self._catalogue.entries(), key=lambda entry: entry.name)
        return [Voice(entry.name, entry.created_at, entry.seconds) for entry in entries]

    def of(self, owner: str) -> list[str]:
        """The names of the voices that an owner registered. Raises CatalogueLost."""
        return sorted(e.name for e in self._catalogue.entries() if e.owner == owner)

    def recording(self, name: str) -> bytes:
        """A voice's wav file. Raises BadInput, CatalogueLost."""
        try:
            return (self._fetched(self._find(name)) / _RECORDING).read_bytes()
        except FileNotFoundError as error:  # It was deleted meanwhile.
            raise _unknown(name) from error

    def register(self, name: str, wav: bytes, now: int, owner: str = "") -> Voice:
        """Keep a voice, which is `owner`'s; `now` is the time, in seconds since 1970.

        Raises BadInput.
        """
        check_name(name, self._own)
        seconds = round(recorded_s(wav), 3)
        check_length(seconds, self._cloning)
        entry = Entry(name, uuid.uuid4().hex, now, seconds, owner)
        folder = self._recordings / entry.id
        with _locked(self._recordings, fcntl.LOCK_EX):
            if len(self._catalogue.entries()) >= MAX_VOICES:
                raise BadInput(f"there are {MAX_VOICES} voices already: delete one first")
            self._keep(folder, wav)
            try:
                self._catalogue.add(entry, wav)
            except BackendError:
                self._discard(folder)
                raise
        return Voice(name, now, seconds)

    def delete(self, name: str) -> None:
        """Forget a voice, and all that was derived from it. Raises BadInput, CatalogueLost."""
        entry = self._catalogue.remove(name) if _NAME.fullmatch(name) else None
        self._seen.pop(name, None)
        if entry is None:
            raise _unknown(name)
        self._discard(self._recordings / entry.id)

    @contextmanager
    def held(self, request: SpeechRequest) -> Generator[SpeechRequest]:
        """The request with its voice's recording, which stays until the end of the block.

        Raises BadInput, CatalogueLost.
        """
        if request.voice is None or request.voice in self._own:
            yield request
            return
        entry = self._find(request.voice)
        check_length(entry.seconds, self._cloning)
        folder = self._fetched(entry)
        try:
            with ExitStack() as lock:
                try:
                    lock.enter_context(_locked(folder, fcntl.LOCK_SH))
                except FileNotFoundError as error:
                    raise _unknown(entry.name) from error
                # It may have been deleted between its opening and its lock.
                if not (folder / _RECORDING).exists():
                    raise _unknown(entry.name)
                yield replace(request, recording=str(folder / _RECORDING))
        finally:
            if (folder / _DELETED).exists():
                self._discard(folder)

    def close(self) -> None:
        """Close the connections to the catalogue."""
        self._catalogue.close()

    def sweep(self) -> None:
        """Remove what belongs to no voice any more, and nobody speaks with."""
        try:
            with _locked(self._recordings, fcntl.LOCK_EX):
                kept = {entry.id for entry in self._catalogue.entries()}
                for folder in self._recordings.iterdir():
                    if folder.is_dir() and folder.name not in kept:
                        self._discard(folder)
        except (CatalogueLost, OSError) as error:
            log.warning("deleted voices were not looked for: %s", error)

    def _find(self, name: str) -> Entry:
        """A name's entry; as it was when last seen, while the catalogue does not answer."""
        try:
            entry = self._catalogue.find(name) if _NAME.fullmatch(name) else None
        except CatalogueLost as error:
            if name not in self._seen:
                raise
            log.warning("%s; voices that this machine holds go on", error)
            return self._seen[name]
        if entry is None:
            self._seen.pop(name, None)
            raise _unknown(name)
        self._seen[name] = entry
        return entry

    def _fetched(self, entry: Entry) -> Path:
        """The folder of a voice, with its recording; from the catalogue if it is not here yet."""
        folder = self._recordings / entry.id
        if not (folder / _RECORDING).exists():
            wav = self._catalogue.recording(entry)
            if wav is None:
                raise _unknown(entry.name)
            recorded_s(wav)
            with _locked(self._recordings, fcntl.LOCK_EX):
                self._keep(folder, wav)
        return folder

    def _keep(self, folder: Path, wav: bytes) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_file(folder / _RECORDING, wav)

    def _discard(self, folder: Path) -> None:
        """Remove a folder, or leave that to whoever speaks with it."""
        # A second try, for a phrase that ended before it could see the mark.
        for _ in range(2):
            try:
                with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(folder)
                return
            except FileNotFoundError:
                return
            except BlockingIOError:
                (folder / _DELETED).touch()


@contextmanager
def _locked(folder: Path, how: int) -> Generator[None]:
    """Hold flock's lock on a folder. Raises FileNotFoundError, BlockingIOError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _unknown(name: str) -> BadInput:
    return BadInput(f"there is no registered voice {name[:64]!r}", "voice_not_found")
