"""Calls to a server that follows a script."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from loadtest.call import Call, Server
from loadtest.clips import Clips
from loadtest.marks import marks_of
from loadtest.records import CallBegan, CallEnded, CameBack, Failure, Leak, Record, TurnEnded
from loadtest.scenario import Kind, Line, Plan, Step
from serve_app.conversation import announcements as said
from serve_app.conversation.events import AudioReceived, HangUp, TextTyped
from tests.clients.scripted_server import Peer, refuse, serve
from tests.loadtest.test_marks import tone

RATE = 16_000
CLIPS = Clips({RATE: [np.zeros(RATE // 5, np.int16)]})
MARKS = marks_of(1)


def plan(*kinds: Kind) -> Plan:
    """A call that does this, without a pause between."""
    steps = tuple(Step(kind, 0.0, 0) for kind in kinds)
    return Plan(1, Line("pcm16", RATE, "pcm16"), steps, "says goodbye")


async def call(url: str, *kinds: Kind) -> list[Record]:
    """What is reported of such a call."""
    records: list[Record] = []
    await Call(plan(*kinds), Server(url, timed=True), CLIPS, records.append).run()
    return records


def of(records: list[Record], kind: type[Record]) -> list[Record]:
    """Those of a kind."""
    return [record for record in records if isinstance(record, kind)]


def problems(records: list[Record]) -> list[str]:
    """What went wrong, in short."""
    return [
        r.kind if isinstance(r, Failure) else "leak"
        for r in records
        if isinstance(r, Failure | Leak)
    ]


async def ready(peer: Peer) -> None:
    """The call is open."""
    await peer.say(said.CallReady("c", None, None))


async def answer(peer: Peer, text: str, voice_hz: int, number: int = 1) -> None:
    """A reply to its end."""
    id = f"r{number}"
    await peer.say(
        said.ReplyStarted(id),
        said.ReplyText(id, text),
        said.ReplyAudio(id, 24_000, tone(voice_hz, 24_000, 0.3)),
        said.TurnTimings(id, 500.0, 80.0, 60.0, 100.0, 300.0),
        said.ReplyDone(id, "completed", text),
    )


async def test_a_typed_turn_that_is_answered_with_its_own_word():
    """Its marks are asked for, and nothing is wrong; the caller says goodbye."""

    async def script(peer: Peer) -> None:
        assert peer.dialect.request.voice == str(MARKS.voice_hz)
        await ready(peer)
        typed = await peer.hear(TextTyped)
        assert MARKS.word in typed.text
        await answer(peer, f"You said {typed.text}", MARKS.voice_hz)
        await peer.hear(HangUp)

    async with serve(script) as url:
        records = await call(url, "type")
    assert problems(records) == []
    (turn,) = of(records, TurnEnded)
    assert isinstance(turn, TurnEnded)
    assert (turn.kind, turn.early, turn.underruns) == ("typed", False, 0)
    assert turn.first_audio_ms is not None
    assert len(of(records, CallBegan)) == 1
    (ended,) = of(records, CallEnded)
    assert isinstance(ended, CallEnded)
    assert ended.how == "said goodbye"


async def test_anothers_word_and_voice_are_leaks_and_no_answer():
    """Each of the two is found."""
    other = marks_of(2)

    async def script(peer: Peer) -> None:
        await ready(peer)
        await peer.hear(TextTyped)
        await answer(peer, f"You said {other.word}", other.voice_hz)
        await peer.hear(HangUp)

    async with serve(script) as url:
        records = await call(url, "type")
    assert sorted(problems(records)) == ["leak", "leak", "wrong answer"]


async def test_a_spoken_turn_counts_from_its_last_sound():
    """A reply that is heard before that came too early, and one without its tone was misheard."""

    async def script(peer: Peer) -> None:
        await ready(peer)
        heard = 0
        while heard < 6:  # The first samples that are not silent are the clip's.
            heard += any((await peer.hear(AudioReceived)).payload)
        await answer(peer, "2800 is what you are called", MARKS.voice_hz)
        await peer.hear(HangUp)

    async with serve(script) as url:
        records = await call(url, "speak")
    (turn,) = of(records, TurnEnded)
    assert isinstance(turn, TurnEnded)
    assert turn.early
    assert problems(records) == ["leak", "misheard"]


async def test_a_caller_whose_connection_is_cut_comes_back():
    """Through the relay, to a call that goes on with its plan."""
    calls = 0

    async def script(peer: Peer) -> None:
        nonlocal calls
        calls += 1
        await ready(peer)
        if calls == 2:
            typed = await peer.hear(TextTyped)
            await answer(peer, typed.text, MARKS.voice_hz)
        await peer.hear(HangUp)

    async with serve(script) as url:
        records = await call(url, "lose connection", "type")
    assert problems(records) == []
    assert len(of(records, CameBack)) == 1
    assert len(of(records, CallBegan)) == 1
    assert len(of(records, TurnEnded)) == 1


async def test_a_refused_call_is_a_failure_of_its_class():
    """No call began, so none ended."""
    async with refuse(503) as url:
        records = await call(url, "type")
    assert problems(records) == ["refused: full"]
    assert len(records) == 1


async def test_a_server_that_hangs_up_has_lost_the_call():
    """With its close code."""

    async def script(peer: Peer) -> None:
        await ready(peer)
        await peer.hear(TextTyped)
        await peer.socket.close(1011)

    async with serve(script) as url:
        records = await call(url, "type")
    assert problems(records) == ["lost: 1011"]
    (ended,) = of(records, CallEnded)
    assert isinstance(ended, CallEnded)
    assert ended.how == "lost"


async def test_a_call_that_is_stopped_says_so():
    """It is no failure."""
    typed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await ready(peer)
        await peer.hear(TextTyped)
        typed.set()
        await peer.socket.wait_closed()

    records: list[Record] = []
    async with serve(script) as url:
        one = Call(plan("type"), Server(url, timed=True), CLIPS, records.append)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(one.run())
            await typed.wait()
            running.cancel()
    assert problems(records) == []
    (ended,) = of(records, CallEnded)
    assert isinstance(ended, CallEnded)
    assert ended.how == "stopped"


@pytest.mark.parametrize(("url", "cut"), [("ws://a/ws", True), ("wss://a/ws", False)])
def test_only_a_server_without_a_certificate_can_be_cut_off(url: str, cut: bool):
    """A relay could not show the certificate."""
    assert Server(url, timed=True).way_can_be_cut is cut
