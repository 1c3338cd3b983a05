"""Conversations in a Redis: every ingress replica reaches them, and they outlive the graph."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Generator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, cast

from serve_app.errors import ConfigError
from serve_app.resume.store import StoreLost

TIMEOUT_S: Final = 1.0
"""For a connection, and for each answer."""

_KEY: Final = "parley:conversation:"
_SCAN: Final = 1_000
"""Keys that Redis looks at in one step."""

# Each runs as one step, so two replicas never both hold a conversation.
_PUT: Final = """
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'owner', ARGV[2], 'data', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
_TAKE: Final = """
local row = redis.call('HMGET', KEYS[1], 'owner', 'data')
if row[1] ~= ARGV[2] or row[2] == '' then return false end
redis.call('HSET', KEYS[1], 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return row[2]
"""
# The time to live stays: it is that of the last sign of the caller.
_ERASE: Final = """
local row = redis.call('HMGET', KEYS[1], 'owner', 'data')
if row[1] ~= ARGV[1] or row[2] == '' then return 0 end
redis.call('HSET', KEYS[1], 'data', '')
return 1
"""


class RedisConversations:
    """See ConversationStore. Raises ConfigError where the URL is none."""

    def __init__(self, url: str, keep_s: float) -> None:
        from redis import RedisError
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        try:
            client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
                url,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                retry=Retry(NoBackoff(), 1),  # For a connection that was closed when idle.
            )
        except ValueError as error:
            raise ConfigError("resume.redis_url is no Redis URL: redis://host:6379/0") from error
        self._client = cast("_Redis", client)
        self._put = self._client.register_script(_PUT)
        self._take = self._client.register_script(_TAKE)
        self._erase = self._client.register_script(_ERASE)
        self._keep_ms = round(keep_s * 1000)
        self._redis_error = RedisError

    async def put(self, key: str, holder: str, owner: str, data: bytes) -> bool:
        """See ConversationStore."""
        with self._told():
            return bool(await self._put([_KEY + key], [holder, owner, data, self._keep_ms]))

    async def take(self, key: str, holder: str, owner: str) -> bytes | None:
        """See ConversationStore."""
        with self._told():
            return cast(
                "bytes | None", await self._take([_KEY + key], [holder, owner, self._keep_ms])
            )

    async def of(self, owner: str) -> list[bytes]:
        """See ConversationStore."""
        with self._told():
            rows = [
                await self._client.hmget(key, ["owner", "data"])
                async for key in self._client.scan_iter(match=_KEY + "*", count=_SCAN)
            ]
        theirs = [row[1] for row in rows if row[0] == owner.encode()]
        return [data for data in theirs if data]

    async def erase(self, owner: str) -> int:
        """See ConversationStore."""
        with self._told():
            erased = [
                await self._erase([key], [owner])
                async for key in self._client.scan_iter(match=_KEY + "*", count=_SCAN)
            ]
        return sum(bool(one) for one in erased)

    async def close(self) -> None:
        """See ConversationStore."""
        await self._client.aclose()

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except (self._redis_error, OSError) as error:
            # The client's own words may name the URL, and so its password.
            raise StoreLost(f"the conversations' Redis: {type(error).__name__}") from error


class _Script(Protocol):
    def __call__(self, keys: Sequence[str | bytes], args: list[object]) -> Awaitable[object]: ...


class _Redis(Protocol):
    """The part of redis-py that is used here; its own types serve two clients at once."""

    def register_script(self, script: str) -> _Script: ...
    def scan_iter(self, *, match: str, count: int) -> AsyncIterator[bytes]: ...
    def hmget(self, name: bytes, keys: list[str]) -> Awaitable[list[bytes | None]]: ...
    async def aclose(self) -> None: ...
