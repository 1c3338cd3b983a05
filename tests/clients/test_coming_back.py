"""A client whose connection breaks off: it comes back with its token, and says what waited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from clients import events
from clients.voice_client import Backoff, CallLost, CallRefused, VoiceClient
from serve_app.conversation import announcements as said
from serve_app.conversation.events import AudioReceived, HangUp, InterruptRequested, TextTyped
from tests.clients.scripted_server import Peer, refuse, serve

SOON = Backoff(first_s=0.01, most_s=0.05, give_up_after_s=20.0)
READY = said.CallReady("c1", None, None, "token", 120.0)
BACK = said.ConversationResumed(1, 2, "hello", "good")

Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def served(*scripts: Script) -> AsyncIterator[str]:
    """One script for each connection, in order."""
    left = list(scripts)

    async def script(peer: Peer) -> None:
        await left.pop(0)(peer)

    async with serve(script) as url:
        yield url
    assert not left, "a connection was not made"


async def until(call: AsyncIterator[events.Event], kind: type) -> list[events.Event]:
    """Events up to the first of a kind."""
    seen: list[events.Event] = []
    async for event in call:
        seen.append(event)
        if isinstance(event, kind):
            return seen
    raise AssertionError(f"the call ended: {seen}")


async def breaks_off(peer: Peer) -> None:
    """A call that is lost as soon as it is open."""
    assert peer.dialect.request.resume is None
    await peer.say(READY)
    peer.socket.transport.abort()


async def holds(peer: Peer) -> None:
    """A call until the client leaves."""
    await peer.say(READY)
    await peer.socket.wait_closed()


@pytest.mark.parametrize("code", [None, 1011, 1012])
async def test_it_comes_back_with_its_token(code: int | None) -> None:
    """Whatever was lost, the client is told, and what it says next arrives there."""

    async def loses(peer: Peer) -> None:
        await peer.say(READY)
        if code is None:
            peer.socket.transport.abort()
        else:
            await peer.socket.close(code)

    async def goes_on(peer: Peer) -> None:
        assert peer.dialect.request.resume == "token"
        assert (peer.dialect.request.uplink.codec, peer.dialect.request.voice) == ("pcm16", "v")
        await peer.say(READY, BACK)
        assert await peer.hear(TextTyped) == TextTyped("hello?")
        await peer.hear(HangUp)

    async with (
        served(loses, goes_on) as url,
        VoiceClient.connect(url, codec="pcm16", voice="v", reconnect=SOON) as call,
    ):
        coming = aiter(call)
        ready = events.Ready("c1", None, None, "pcm16", 16_000, "pcm16", "token", 120.0)
        assert await until(coming, events.Resumed) == [
            ready,
            events.Reconnecting(code or 1006),
            ready,
            events.Resumed(1, 2, "hello", "good"),
        ]
        assert call.resume_token == "token"
        await call.send_text("hello?")
        await call.end()
        assert [event async for event in coming] == []


async def test_what_is_said_meanwhile_waits() -> None:
    """Audio in its order, then the rest; reports on what was played are not for the new one."""
    lost, come_back = asyncio.Event(), asyncio.Event()

    async def loses(peer: Peer) -> None:
        await peer.say(READY)
        peer.socket.transport.abort()
        lost.set()

    async def is_late(peer: Peer) -> None:
        await come_back.wait()
        await peer.socket.close(1012)

    async def goes_on(peer: Peer) -> None:
        await peer.say(READY, BACK)
        await peer.hear(InterruptRequested)
        assert peer.audio == [b"1.", b"2."]
        await peer.hear(HangUp)

    async with (
        served(loses, is_late, goes_on) as url,
        VoiceClient.connect(url, codec="pcm16", reconnect=SOON) as call,
    ):
        coming = aiter(call)
        await until(coming, events.Reconnecting)
        await call.played("r1", 100)
        await call.send_audio(b"1.")
        await call.send_audio(b"2.")
        interrupting = asyncio.create_task(call.interrupt())
        come_back.set()
        await until(coming, events.Resumed)
        await interrupting
        await call.end()
        assert [event async for event in coming] == []


async def test_each_connection_counts_its_own_audio() -> None:
    """From the first that it was given: what waited for it, or what came after it was made."""
    now = [10.0]

    async def loses(peer: Peer) -> None:
        await peer.say(READY)
        await peer.hear(AudioReceived)
        peer.socket.transport.abort()

    async def goes_on(peer: Peer) -> None:
        await peer.say(READY, BACK)
        await peer.hear(HangUp)

    async with (
        served(loses, goes_on) as url,
        VoiceClient.connect(url, codec="pcm16", reconnect=SOON, clock=lambda: now[0]) as call,
    ):
        coming = aiter(call)
        assert call.audio_began_at is None
        await call.send_audio(b"1.")
        now[0] = 11.0
        assert call.audio_began_at == 10.0
        await until(coming, events.Reconnecting)
        await call.send_audio(b"2.")
        now[0] = 12.0
        await until(coming, events.Resumed)
        await call.send_audio(b"3.")
        assert call.audio_began_at == 11.0
        await call.end()
        assert [event async for event in coming] == []


async def test_old_audio_is_not_kept() -> None:
    """Of a long silence of the network the last five seconds are said."""
    now = [0.0]

    async def goes_on(peer: Peer) -> None:
        await peer.say(READY, BACK)
        await peer.hear(HangUp)
        assert peer.audio == [b"3.", b"4."]

    async with (
        served(breaks_off, goes_on) as url,
        VoiceClient.connect(
            url, codec="pcm16", reconnect=Backoff(1e-9, 1e-9, 1e9), clock=lambda: now[0]
        ) as call,
    ):
        coming = aiter(call)
        await until(coming, events.Reconnecting)
        call._connected.clear()
        for at, pcm in ((0.0, b"1."), (1.0, b"2."), (5.5, b"3."), (6.1, b"4.")):
            now[0] = at
            await call.send_audio(pcm)
        await until(coming, events.Resumed)
        await call.end()
        assert [event async for event in coming] == []


@pytest.mark.parametrize("code", [1001, 1009, 4001])
async def test_a_call_that_is_over_is_not_come_back_to(code: int) -> None:
    """The longest call, a message too big, another connection in its place: CallLost."""

    async def ends(peer: Peer) -> None:
        await peer.say(READY)
        await peer.socket.close(code)

    async with served(ends) as url, VoiceClient.connect(url, reconnect=SOON) as call:
        with pytest.raises(CallLost) as lost:
            await until(aiter(call), events.Reconnecting)
        assert lost.value.close_code == code
        with pytest.raises(CallLost):
            await call.send_text("anyone there?")
        with pytest.raises(CallLost):
            await call.send_packet(b"audio")


async def test_a_server_that_keeps_nothing_is_not_come_back_to() -> None:
    """Without a token there is no conversation to come back to."""

    async def loses(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        peer.socket.transport.abort()

    async with served(loses) as url, VoiceClient.connect(url, reconnect=SOON) as call:
        with pytest.raises(CallLost):
            await until(aiter(call), events.Reconnecting)


async def test_it_gives_up_in_the_end() -> None:
    """Where nobody answers any more, with the loss that began it."""
    async with (
        served(breaks_off) as url,
        VoiceClient.connect(url, reconnect=Backoff(0.01, 0.01, 0.2)) as call,
    ):
        coming = aiter(call)
        await until(coming, events.Reconnecting)
        call._again = lambda _token: "ws://127.0.0.1:1/ws"
        with pytest.raises(CallLost):
            await until(coming, events.Resumed)
        with pytest.raises(CallLost):
            await call.interrupt()


async def test_a_refusal_that_will_not_change_ends_it() -> None:
    """An HTTP status of the client's own fault, on the way back, is raised."""
    async with (
        refuse(403) as other,
        served(breaks_off) as url,
        VoiceClient.connect(url, reconnect=SOON) as call,
    ):
        call._again = lambda _token: other
        with pytest.raises(CallRefused):
            await until(aiter(call), events.Resumed)


@pytest.mark.parametrize("status", [404, 429, 503])
async def test_a_refusal_that_may_change_is_waited_out(status: int) -> None:
    """A front door that knows no path yet, a key at its limits, a server that is full."""
    async with (
        refuse(status, retry_after="1") as full,
        served(breaks_off, holds) as url,
        VoiceClient.connect(url, reconnect=SOON) as call,
    ):
        addresses = [url, full]
        call._again = lambda _token: addresses.pop()
        began = asyncio.get_running_loop().time()
        await until(aiter(call), events.Ready)
        await until(aiter(call), events.Ready)
        assert asyncio.get_running_loop().time() - began >= 1


async def test_another_client_may_go_on() -> None:
    """With the token that one has, at once."""

    async def goes_on(peer: Peer) -> None:
        assert peer.dialect.request.resume == "token"
        await peer.say(READY, BACK)
        await peer.hear(HangUp)

    async with served(goes_on) as url, VoiceClient.connect(url, resume="token") as call:
        coming = aiter(call)
        await until(coming, events.Resumed)
        await call.end()
        assert [event async for event in coming] == []


async def test_what_is_said_after_a_server_moves_is_for_the_next() -> None:
    """Nothing more is sent to one that is about to close."""
    asked = asyncio.Event()

    async def moves(peer: Peer) -> None:
        await peer.say(READY, said.Moving("token"))
        await asked.wait()
        await peer.socket.close(1012)
        assert [message async for message in peer.socket] == []

    async def goes_on(peer: Peer) -> None:
        await peer.say(READY, BACK)
        assert await peer.hear(TextTyped) == TextTyped("hello?")
        assert peer.audio == [b"1."]
        await peer.hear(HangUp)

    async with (
        served(moves, goes_on) as url,
        VoiceClient.connect(url, codec="pcm16", reconnect=SOON) as call,
    ):
        coming = aiter(call)
        assert (await until(coming, events.Moving))[-1] == events.Moving("token")
        await call.send_audio(b"1.")
        saying = asyncio.create_task(call.send_text("hello?"))
        asked.set()
        await until(coming, events.Resumed)
        await saying
        await call.end()
        assert [event async for event in coming] == []
