"""A key's uses, counted in a Redis for all replicas together.

Where Redis does not answer, each replica counts for itself until it does: nobody is shut out, and
no key is unlimited.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Protocol, cast

from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from deployments.logs import logger
from serve_app.access.limits import LocalLimits, Use, all_taken, too_fast
from serve_app.errors import ConfigError

log = logger("access")

TIMEOUT_S: Final = 0.5
"""For a connection and for each answer: a caller waits for it."""
TRY_AGAIN_S: Final = 5.0
"""How long Redis is left alone once it did not answer."""
LEASE_S: Final = 60.0
"""A call counts so long after it was last heard of: a replica that dies takes its calls along."""
RENEW_S: Final = 20.0

# Atomic, by the clock of Redis. KEYS: the line's end in ms, the calls by the end of their leases.
# ARGV: calls at once (0: any), the call, its lease in ms, per minute (0: any). It answers what is
# used up (0 nothing, 1 the calls, 2 the rate) and how long to wait, in ms.
_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most, per_minute = tonumber(ARGV[1]), tonumber(ARGV[4])
if most > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) >= most then return {1, 0} end
end
if per_minute > 0 then
  local line_end = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + 60000 / per_minute
  local wait = line_end - 60000 - now
  if wait > 0 then return {2, math.ceil(wait)} end
  redis.call('SET', KEYS[1], string.format('%.3f', line_end), 'PX', math.ceil(line_end - now))
end
if most > 0 then
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return {0, 0}
"""
# KEYS: the calls. ARGV: the call, its lease in ms.
_RENEW: Final = """
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""


class RedisLimits:
    """The count that replicas share. Raises ConfigError for a URL that is none."""

    def __init__(self, url: str, local: LocalLimits) -> None:
        try:
            client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
                url,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                retry=Retry(NoBackoff(), retries=1),  # For a connection that was closed when idle.
            )
        except ValueError as error:
            raise ConfigError("auth.redis_url is no Redis URL: redis://host:6379/0") from error
        self._client = cast("_Redis", client)
        self._local = local
        self._left_alone_until = 0.0

    @asynccontextmanager
    async def held(self, use: Use) -> AsyncGenerator[None, None]:
        """See Limits."""
        async with AsyncExitStack() as stack:
            call_id = uuid.uuid4().hex
            if not await self._take(use, call_id):
                await stack.enter_async_context(self._local.held(use))
            elif use.at_once is not None:
                await stack.enter_async_context(self._renewed(_calls(use), call_id))
            yield

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _take(self, use: Use, call_id: str) -> bool:
        """Count in; whether Redis has. Raises PeerError."""
        if asyncio.get_running_loop().time() < self._left_alone_until:
            return False
        taken = (use.at_once or 0, call_id, round(LEASE_S * 1000), use.per_minute or 0)
        try:
            used_up, wait_ms = await self._client.eval(_TAKE, 2, _line(use), _calls(use), *taken)
        except RedisError as error:
            self._leave_alone(error)
            return False
        if used_up == 1:
            raise all_taken(use)
        if used_up == 2:
            raise too_fast(use, wait_ms / 1000)
        return True

    @asynccontextmanager
    async def _renewed(self, calls: str, call_id: str) -> AsyncGenerator[None, None]:
        """The call's lease, for as long as the block; given back after it."""
        renewing = asyncio.ensure_future(self._renew(calls, call_id))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            try:
                await self._client.zrem(calls, call_id)
            except RedisError as error:
                self._leave_alone(error)  # The lease ends by itself.

    async def _renew(self, calls: str, call_id: str) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._client.eval(_RENEW, 1, calls, call_id, round(LEASE_S * 1000))
            except RedisError as error:
                self._leave_alone(error)

    def _leave_alone(self, error: RedisError) -> None:
        self._left_alone_until = asyncio.get_running_loop().time() + TRY_AGAIN_S
        # The client's own words may name the URL, and so its password.
        log.warning("limits: Redis: %s; this replica counts for itself", type(error).__name__)


def _line(use: Use) -> str:
    """Where Redis is a cluster, the braces keep a key's two names on one machine."""
    return f"parley:limits:{{{use.key_id}}}:{use.kind}"


def _calls(use: Use) -> str:
    return f"parley:limits:{{{use.key_id}}}:calls"


class _Redis(Protocol):
    """The part of redis-py that is used here; its own types serve two clients at once."""

    async def eval(self, script: str, numkeys: int, *keys_and_args: str | int) -> list[int]: ...
    async def zrem(self, name: str, member: str) -> int: ...
    async def aclose(self) -> None: ...
