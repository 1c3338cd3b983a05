"""Which voices are registered, by name: in files of one machine, or in a Redis that several share.

Neither knows what a voice is for. Values are JSON and wav bytes, never pickles.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, cast

from deployments.contracts import BackendError, BadInput, LoadFailed
from deployments.logs import logger

log = logger("voices")

REDIS_TIMEOUT_S = 1.0
"""For a connection, and for each answer: a phrase may be waiting for it."""

_ID = re.compile(r"[0-9a-f]{32}")
_UNNAMED_S = 60
_NAMES_KEY = "parley:voices"
_RECORDING_KEY = "parley:voices:recording:"


class CatalogueLost(BackendError):
    """The shared catalogue does not answer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered voice. `id` names its recording, `created_at` in seconds since 1970, `owner`
    who registered it: "" where no key was asked for, or none was kept yet."""

    name: str
    id: str
    created_at: int
    seconds: float
    owner: str = ""

    def to_json(self) -> bytes:
        """What `parse` reads."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def parse(text: str | bytes) -> Entry:
        """Raises ValueError where the text is no entry."""
        match json.loads(text):
            case {
                "name": str(name),
                "id": str(id_),
                "created_at": int(at),
                "seconds": float(long),
                **others,
            }:
                owner = others.get("owner", "")
                # The id becomes a folder's name.
                if _ID.fullmatch(id_) and isinstance(owner, str):
                    return Entry(name, id_, at, long, owner)
            case _:
                pass
        raise ValueError("not a voice's entry")


class Catalogue(Protocol):
    """Names → entries. Methods block."""

    def entries(self) -> list[Entry]:
        """All, in any order. Raises CatalogueLost."""
        ...

    def find(self, name: str) -> Entry | None:
        """The entry of a name. Raises CatalogueLost."""
        ...

    def add(self, entry: Entry, wav: bytes) -> None:
        """Take a name. Raises BadInput where it is taken, CatalogueLost."""
        ...

    def remove(self, name: str) -> Entry | None:
        """Free a name; what it stood for. Raises CatalogueLost."""
        ...

    def recording(self, entry: Entry) -> bytes | None:
        """The recording, if the catalogue holds one. Raises CatalogueLost."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...


class FileCatalogue:
    """One file a name. Whoever adds holds the directory's lock, so no two add at once."""

    def __init__(self, directory: Path) -> None:
        self._names = directory / "names"

    def entries(self) -> list[Entry]:
        """See Catalogue; a file that cannot be read is left out, with a warning."""
        return _parsed(path.read_bytes() for path in self._names.glob("*.json"))

    def find(self, name: str) -> Entry | None:
        """See Catalogue."""
        try:
            found = _parsed([self._path(name).read_bytes()])
        except FileNotFoundError:
            return None
        return found[0] if found else None

    def add(self, entry: Entry, wav: bytes) -> None:
        """See Catalogue; the recording is not kept here."""
        del wav
        self._names.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(entry.name)
        if path.exists():
            raise _taken(entry.name)
        write_file(path, entry.to_json())

    def remove(self, name: str) -> Entry | None:
        """See Catalogue."""
        entry = self.find(name)
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return None
        return entry

    def recording(self, entry: Entry) -> bytes | None:
        """None: there is no other copy than the one that the voice's folder holds."""
        del entry

    def close(self) -> None:
        """There are none."""

    def _path(self, name: str) -> Path:
        return self._names / f"{name}.json"


class RedisCatalogue:
    """A hash of entries, and a string for each recording. Raises LoadFailed without redis-py."""

    def __init__(self, url: str) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise LoadFailed("voices_redis_url needs redis: pip install redis") from error
        try:
            client = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
                url,
                socket_timeout=REDIS_TIMEOUT_S,
                socket_connect_timeout=REDIS_TIMEOUT_S,
                retry=Retry(NoBackoff(), retries=1),  # For a connection that was closed when idle.
            )
        except ValueError as error:
            raise LoadFailed("voices_redis_url is no Redis URL: redis://host:6379/0") from error
        self._client = cast("_Redis", client)
        self._redis_error = redis.RedisError

    def entries(self) -> list[Entry]:
        """See Catalogue."""
        with self._told():
            return _parsed(self._client.hvals(_NAMES_KEY))

    def find(self, name: str) -> Entry | None:
        """See Catalogue."""
        with self._told():
            text = self._client.hget(_NAMES_KEY, name)
        found = _parsed([] if text is None else [text])
        return found[0] if found else None

    def add(self, entry: Entry, wav: bytes) -> None:
        """See Catalogue."""
        key = _RECORDING_KEY + entry.id
        with self._told():
            # Until the name is ours the recording goes by itself, whatever happens here.
            self._client.set(key, wav, ex=_UNNAMED_S)
            if not self._client.hsetnx(_NAMES_KEY, entry.name, entry.to_json()):
                self._client.delete(key)
                raise _taken(entry.name)
            self._client.persist(key)

    def remove(self, name: str) -> Entry | None:
        """See Catalogue."""
        entry = self.find(name)
        if entry is None:
            return None
        with self._told(), self._client.pipeline(transaction=True) as both:
            both.hdel(_NAMES_KEY, name)
            both.delete(_RECORDING_KEY + entry.id)
            removed, _ = both.execute()
        return entry if removed else None

    def recording(self, entry: Entry) -> bytes | None:
        """See Catalogue."""
        with self._told():
            return self._client.get(_RECORDING_KEY + entry.id)

    def close(self) -> None:
        """See Catalogue."""
        self._client.close()

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except self._redis_error as error:
            # The client's own words may name the URL, and so its password.
            raise CatalogueLost(f"the voices' Redis: {type(error).__name__}") from error


class _Redis(Protocol):
    """The part of redis-py that is used here; its own types serve two clients at once."""

    def hvals(self, name: str) -> list[bytes]: ...
    def hget(self, name: str, key: str) -> bytes | None: ...
    def hsetnx(self, name: str, key: str, value: bytes) -> int: ...
    def hdel(self, name: str, key: str) -> int: ...
    def get(self, name: str) -> bytes | None: ...
    def set(self, name: str, value: bytes, *, ex: int) -> bool: ...
    def persist(self, name: str) -> bool: ...
    def delete(self, name: str) -> int: ...
    def pipeline(self, *, transaction: bool) -> AbstractContextManager[_Pipeline]: ...
    def close(self) -> None: ...


class _Pipeline(_Redis, Protocol):
    def execute(self) -> list[int]: ...


def write_file(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, for its owner alone."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _parsed(texts: Iterable[bytes]) -> list[Entry]:
    """The entries of JSON texts; what is no entry is left out, with a warning."""
    entries: list[Entry] = []
    for text in texts:
        try:
            entries.append(Entry.parse(text))
        except ValueError as error:
            log.warning("a voice's entry cannot be read: %s", error)
    return entries


def _taken(name: str) -> BadInput:
    return BadInput(f"a voice {name!r} is registered: delete it first", "voice_exists")
