"""What a key may use, counted by one replica and by a real Redis: the same for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.access import redis_limits
from serve_app.access.limits import Limits, LocalLimits, Use, after
from serve_app.access.redis_limits import RedisLimits
from serve_app.access.settings import KeyLimits
from serve_app.errors import ConfigError, PeerError
from tests import redis_server


class Hand:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of this module's own."""
    with redis_server.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["local", "redis"])
async def limits(request: pytest.FixtureRequest) -> AsyncIterator[Limits]:
    """Each way of counting."""
    local = LocalLimits(Hand())
    if request.param == "local":
        yield local
        return
    shared = RedisLimits(request.getfixturevalue("redis_url"), local)
    yield shared
    await shared.close()


def use(request: pytest.FixtureRequest, **limits: int) -> Use:
    """Uses of a key that no other test has."""
    return Use.of(request.node.name, "call", KeyLimits(**limits))


async def refusal(limits: Limits, asked: Use) -> tuple[str, int | None]:
    """Why a use is refused, and when to try again."""
    with pytest.raises(PeerError) as caught:
        async with limits.held(asked):
            pass
    error = caught.value
    assert (error.code, error.status, error.close_code) == ("rate_limit_exceeded", 429, 1013)
    return error.message, error.retry_after_s


async def test_calls_at_once(limits: Limits, request: pytest.FixtureRequest) -> None:
    """One out, one in; other keys are not concerned."""
    two = use(request, calls=2)
    other = Use("other", "call", 1, None)
    async with limits.held(two):
        async with limits.held(two), limits.held(other):
            told = await refusal(limits, two)
            assert told == ("this key has its 2 calls at once", 5)
        async with limits.held(two):
            await refusal(limits, two)
    async with limits.held(two), limits.held(two):
        pass


async def test_a_minutes_worth_may_come_at_once(
    limits: Limits, request: pytest.FixtureRequest
) -> None:
    """Then the next after the share of one; requests have a count of their own."""
    three = use(request, calls_per_minute=3)
    for _ in range(3):
        async with limits.held(three):
            pass
    message, wait_s = await refusal(limits, three)
    assert (message, wait_s) == ("this key has its 3 calls a minute", 20)
    async with limits.held(Use.of(three.key_id, "request", KeyLimits(requests_per_minute=1))):
        pass


async def test_a_call_that_fails_is_counted_out(
    limits: Limits, request: pytest.FixtureRequest
) -> None:
    """However it ends."""
    one = use(request, calls=1)
    with pytest.raises(ZeroDivisionError):
        async with limits.held(one):
            raise ZeroDivisionError
    async with limits.held(one):
        pass


async def test_a_refused_rate_takes_no_line(limits: Limits, request: pytest.FixtureRequest) -> None:
    """Nor does a refused call count as one begun."""
    both = use(request, calls=1, calls_per_minute=2)
    async with limits.held(both):
        for _ in range(5):
            await refusal(limits, both)
    async with limits.held(both):
        pass
    message, _ = await refusal(limits, both)
    assert message.endswith("a minute")


async def test_the_line_gets_shorter_with_time() -> None:
    """Evenly, and nothing is kept of a key that waits a minute."""
    clock = Hand()
    limits = LocalLimits(clock)
    asked = Use("a", "call", None, 6)
    for _ in range(6):
        async with limits.held(asked):
            pass
    clock.at += 9.9
    assert await refusal(limits, asked) == ("this key has its 6 calls a minute", 1)
    clock.at += 0.2
    async with limits.held(asked):
        pass
    clock.at += 60
    async with limits.held(Use("b", "call", None, 6)):
        pass
    assert [key for key, _ in limits._lines] == ["b"]


@given(
    per_minute=st.integers(1, 1000),
    gaps=st.lists(st.floats(0, 30), min_size=1, max_size=200),
)
def test_no_minute_has_more_than_two_minutes_worth(per_minute: int, gaps: list[float]) -> None:
    """However the calls fall: a full bucket, and what flows in meanwhile."""
    now, end, let_in = 0.0, 0.0, list[float]()
    for gap in gaps:
        now += gap
        new_end, wait_s = after(end, now, per_minute)
        if wait_s == 0:
            end = new_end
            let_in.append(now)
    most = max(
        (sum(1 for at in let_in if begin <= at <= begin + 60) for begin in let_in), default=0
    )
    assert most <= 2 * per_minute


async def test_replicas_share_a_redis(redis_url: str) -> None:
    """What one counts, the other knows."""
    asked = Use("shared", "call", 1, None)
    async with AsyncExitStack() as stack:
        one, other = (RedisLimits(redis_url, LocalLimits(Hand())) for _ in range(2))
        stack.push_async_callback(one.close)
        stack.push_async_callback(other.close)
        async with one.held(asked):
            await refusal(other, asked)
        async with other.held(asked):
            await refusal(one, asked)


async def test_a_dead_replicas_calls_end_with_their_leases(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that lives renews its own."""
    monkeypatch.setattr(redis_limits, "LEASE_S", 0.3)
    monkeypatch.setattr(redis_limits, "RENEW_S", 0.05)
    asked = Use("leased", "call", 1, None)
    limits = RedisLimits(redis_url, LocalLimits(Hand()))
    async with limits.held(asked):
        await asyncio.sleep(0.6)
        await refusal(limits, asked)
    assert await limits._take(asked, "of a replica that dies")
    await refusal(limits, asked)
    for _ in range(100):
        await asyncio.sleep(0.05)
        if await _free(limits, asked):
            break
    else:
        raise AssertionError("the lease does not end")
    await limits.close()


async def _free(limits: RedisLimits, asked: Use) -> bool:
    try:
        async with limits.held(asked):
            return True
    except PeerError:
        return False


async def test_without_redis_a_replica_counts_for_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No key is shut out, none is unlimited; once Redis is back all count together again."""
    asked = Use("a", "call", 1, None)
    with redis_server.running(tmp_path) as url:
        pass
    port = int(url.split(":")[2].split("/")[0])
    secret = url.replace("127.0.0.1", ":hunter2@127.0.0.1")
    limits = RedisLimits(secret, LocalLimits(Hand()))
    async with limits.held(asked):
        await refusal(limits, asked)
    assert "counts for itself" in caplog.text
    assert "hunter2" not in caplog.text
    assert caplog.text.count("counts for itself") == 1
    await limits.close()
    limits = RedisLimits(url, LocalLimits(Hand()))
    assert not await limits._take(asked, "x")
    limits._left_alone_until = 0.0
    with redis_server.running(tmp_path, port):
        async with limits.held(asked):
            other = RedisLimits(url, LocalLimits(Hand()))
            await refusal(other, asked)
            await other.close()
    await limits.close()


def test_a_url_that_is_none_is_the_operators_fault() -> None:
    """In a line without the URL, which may hold a password."""
    with pytest.raises(ConfigError, match=r"auth\.redis_url") as caught:
        RedisLimits("http://:hunter2@host", LocalLimits(Hand()))
    assert "hunter2" not in str(caught.value)
