"""The client library against a server that speaks through the real dialect."""

from __future__ import annotations

import asyncio
import socket

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from clients import events
from clients.opus import DECODED_RATE, OpusDecoder, OpusEncoder
from clients.voice_client import CallLost, CallRefused, VoiceClient
from clients.wire import BadMessage
from serve_app.conversation import announcements as said
from serve_app.conversation.events import (
    CommitRequested,
    HangUp,
    InterruptRequested,
    PlaybackReported,
    RecordingAnswered,
    TextTyped,
)
from serve_app.dialects import AudioFormat
from tests.clients.scripted_server import Peer, refuse, serve


async def _all(call: VoiceClient) -> list[events.Event]:
    return [event async for event in call]


async def test_a_call_in_pcm():
    """Samples go up as they are, audio comes down with its reply and its time, the end is clean."""

    async def script(peer: Peer) -> None:
        assert peer.dialect.request.uplink == AudioFormat("pcm16", 8000)
        assert (peer.dialect.request.voice, peer.dialect.request.language) == ("en us", "en")
        await peer.hear(HangUp)
        assert peer.audio == [b"abcd"]
        await peer.say(said.ReplyStarted("r1"), said.ReplyAudio("r1", 22050, b"efgh"))

    async with (
        serve(script) as url,
        VoiceClient.connect(
            url, codec="pcm16", rate=8000, voice="en us", language="en", clock=lambda: 12.5
        ) as call,
    ):
        await call.send_audio(b"abcd")
        await call.end()
        assert await _all(call) == [
            events.ReplyStarted("r1"),
            events.Audio(b"efgh", 22050, "r1", 12.5),
        ]


async def test_a_call_in_opus():
    """Samples are packed on the way up, packets unpacked on the way down."""

    async def script(peer: Peer) -> None:
        assert peer.dialect.request.uplink.codec == "opus"
        await peer.hear(HangUp)
        decoder = OpusDecoder()
        assert [len(decoder.decode(packet)) for packet in peer.audio] == [1920, 1920]
        (packet,) = OpusEncoder(24_000).encode(bytes(960))
        await peer.say(said.ReplyStarted("r1"), said.ReplyAudio("r1", 24_000, packet))

    async with serve(script) as url, VoiceClient.connect(url, reply="opus") as call:
        await call.send_audio(bytes(500))
        await call.send_audio(bytes(200))
        (packet,) = OpusEncoder(16_000).encode(bytes(640))
        await call.send_packet(packet)
        await call.end()
        _, audio = await _all(call)
    assert isinstance(audio, events.Audio)
    assert (len(audio.pcm), audio.rate, audio.reply_id) == (1920, DECODED_RATE, "r1")


async def test_everything_that_a_client_says():
    """Each method is its message."""
    heard: list[object] = []

    async def script(peer: Peer) -> None:
        kinds = (InterruptRequested, CommitRequested, PlaybackReported, RecordingAnswered, HangUp)
        for kind in (TextTyped, *kinds):
            heard.append(await peer.hear(kind))

    async with serve(script) as url, VoiceClient.connect(url) as call:
        await call.send_text("hello")
        await call.interrupt()
        await call.commit()
        await call.played("r1", 250.4)
        await call.record(True)
        await call.end()
        assert await _all(call) == []
    assert heard == [
        TextTyped("hello"),
        InterruptRequested(),
        CommitRequested(),
        PlaybackReported("r1", 250.0),
        RecordingAnswered(True),
        HangUp(),
    ]


async def test_audio_after_a_resume_belongs_to_the_resumed_reply():
    """The reply started or resumed last owns the audio."""

    async def script(peer: Peer) -> None:
        await peer.say(said.ReplyStarted("r1"), said.ReplyStarted("r2"))
        await peer.say(said.ReplyResumed("r1", 40), said.ReplyAudio("r1", 16000, b"ab"))

    async with serve(script) as url, VoiceClient.connect(url) as call:
        *_, audio = await _all(call)
    assert isinstance(audio, events.Audio)
    assert audio.reply_id == "r1"


async def test_the_round_trip_is_measured():
    """A ping goes out when the call opens."""

    async def script(peer: Peer) -> None:
        await peer.hear(HangUp)

    async with serve(script) as url, VoiceClient.connect(url) as call:
        async with asyncio.timeout(10):
            while not call.round_trips_ms:  # noqa: ASYNC110 (the client tells nobody)
                await asyncio.sleep(0)
        await call.end()
        await _all(call)
        assert 0 < call.round_trips_ms[0] < 10_000


async def test_a_call_that_breaks_off():
    """A close that is not normal is CallLost, for the reader and for the next sender."""

    async def script(peer: Peer) -> None:
        await peer.say(said.PartialTranscript("so"))
        await peer.socket.close(1012, "restart")

    async with serve(script) as url, VoiceClient.connect(url) as call:
        coming = aiter(call)
        assert await anext(coming) == events.Partial("so")
        with pytest.raises(CallLost, match="1012 restart") as caught:
            await anext(coming)
        assert caught.value.close_code == 1012
        with pytest.raises(CallLost):
            await call.send_text("anyone there?")


async def test_a_connection_that_vanishes():
    """Without a closing handshake the close code is 1006."""

    async def script(peer: Peer) -> None:
        peer.socket.transport.abort()

    async with serve(script) as url, VoiceClient.connect(url) as call:
        with pytest.raises(CallLost) as caught:
            await _all(call)
    assert caught.value.close_code == 1006


async def test_a_server_that_speaks_something_else():
    """Its message is BadMessage, and so is a packet that is none."""

    async def nonsense(socket: ServerConnection) -> None:
        await socket.send("hello")

    async with serve_websocket(nonsense, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with VoiceClient.connect(f"ws://127.0.0.1:{port}/ws") as call:
            with pytest.raises(BadMessage, match="not JSON"):
                await _all(call)

    async def bad_packet(peer: Peer) -> None:
        await peer.say(said.ReplyAudio("r", 48000, b"\xff\xff\xff"))

    async with serve(bad_packet) as url, VoiceClient.connect(url, reply="opus") as call:
        with pytest.raises(BadMessage, match="Opus"):
            await _all(call)


async def test_a_refusal_with_a_reason():
    """The server's code and sentence, the HTTP status and when to come back."""
    async with refuse(503, retry_after="7") as url:
        with pytest.raises(CallRefused, match="Later") as caught:
            async with VoiceClient.connect(url):
                pass
    assert (caught.value.code, caught.value.status) == ("full", 503)
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize("body", ["<html>", "[]", '{"error": "x"}', '{"error": {"code": 7}}'])
async def test_a_refusal_by_another_kind_of_server(body: str):
    """Without the protocol's body the status has to do; an odd retry-after is no number."""
    async with refuse(404, body, retry_after="Wed, 21 Oct 2026 07:28:00 GMT") as url:
        with pytest.raises(CallRefused, match="Not Found") as caught:
            async with VoiceClient.connect(url):
                pass
    assert (caught.value.code, caught.value.status) == ("http_404", 404)
    assert caught.value.retry_after_s is None


async def test_nothing_listens():
    """A port without a server."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{bound.getsockname()[1]}/ws"
        with pytest.raises(CallRefused, match="nothing answers") as caught:
            async with VoiceClient.connect(url):
                pass
    assert caught.value.code == "unreachable"


async def test_a_server_that_never_answers():
    """The connection is taken, the handshake is not: the time-out ends it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        url = f"ws://127.0.0.1:{bound.getsockname()[1]}/ws"
        with pytest.raises(CallRefused, match=r"0\.05 s") as caught:
            async with VoiceClient.connect(url, connect_timeout_s=0.05):
                pass
    assert caught.value.code == "timeout"


async def test_no_websocket_server():
    """A server of another protocol is named as such."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        with pytest.raises(CallRefused) as caught:
            async with VoiceClient.connect(url):
                pass
    assert caught.value.code == "not_a_websocket"


async def test_an_address_that_is_none():
    """The address is repeated in the message."""
    with pytest.raises(CallRefused, match="localhost:8000") as caught:
        async with VoiceClient.connect("localhost:8000"):
            pass
    assert caught.value.code == "bad_url"


async def test_a_rate_that_opus_has_not():
    """Refused before anything is connected."""
    with pytest.raises(ValueError, match="44100"):
        async with VoiceClient.connect("ws://127.0.0.1:9/ws", rate=44_100):
            pass


async def test_what_the_call_raises_comes_out_as_it_is():
    """No ExceptionGroup around it, and no task left behind."""

    async def script(peer: Peer) -> None:
        await peer.socket.wait_closed()

    before = asyncio.all_tasks()
    async with serve(script) as url:
        with pytest.raises(KeyError):
            async with VoiceClient.connect(url):
                raise KeyError
    assert asyncio.all_tasks() == before
