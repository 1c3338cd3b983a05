"""Real speech through the graph that `make run` starts, behind both front doors."""

import asyncio
import signal
from collections.abc import Iterator
from typing import cast

import jiwer
import pytest

from clients import events as told
from clients.audio_file import resampled
from clients.sample_voice import speak
from deployments import backends
from deployments.backend_protocols import IncrementalSpeechToText
from deployments.backends.llm_eliza import Eliza
from tests.e2e.caller import Caller, calling
from tests.e2e.graph import Graph

pytestmark = pytest.mark.timeout(240)

QUESTIONS = ("I want to talk about my mother", "Do you remember me", "I am very happy")
WORD_ERROR = 0.35
"""Of the embedded voice through the embedded recogniser; docs/backends.md has the figures."""


@pytest.fixture(scope="module")
def recogniser() -> Iterator[IncrementalSpeechToText]:
    """The embedded recogniser, to listen to replies with."""
    backend = cast(IncrementalSpeechToText, backends.create("stt", "pocketsphinx", {}))
    backend.load()
    yield backend
    backend.close()


async def ask(caller: Caller, question: str, rate: int) -> tuple[told.Final, told.ReplyDone]:
    """Speak a question and wait for the reply to end."""
    await caller.speak(speak(question, rate), rate)
    async with caller.listening(rate):
        final = await caller.until_a(told.Final)
        return final, await caller.until_a(told.ReplyDone)


async def test_replies_answer_what_was_said_and_are_spoken(
    embedded: Graph, recogniser: IncrementalSpeechToText
) -> None:
    """ELIZA's answer to the transcript, in text and in audio; turns share one call."""
    eliza = Eliza()
    await eliza.load()
    said: list[str] = []
    heard: list[str] = []
    async with calling(embedded.url, codec="pcm16", rate=16_000) as caller:
        for question in QUESTIONS:
            final, done = await ask(caller, question, 16_000)
            assert done.status == "completed"
            assert done.heard in eliza.answers(final.text)
            audio = [e for e in caller.of(told.Audio) if e.reply_id == done.reply_id]
            pcm = resampled(b"".join(e.pcm for e in audio), audio[0].rate, 16_000)
            stream = recogniser.open(None)
            stream.feed(pcm)
            said.append(done.heard)
            heard.append(stream.finish().text)
            stream.close()
    words = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.Strip()])
    assert jiwer.wer([words(text) for text in said], [words(text) for text in heard]) <= WORD_ERROR


@pytest.mark.parametrize(
    ("codec", "rate", "reply"),
    [
        ("pcm16", 8_000, "pcm16"),
        ("pcm16", 24_000, "opus"),
        ("pcm16", 48_000, "pcm16"),
        ("opus", 16_000, "pcm16"),
        ("opus", 48_000, "opus"),
    ],
)
async def test_every_codec_and_rate(embedded: Graph, codec: str, rate: int, reply: str) -> None:
    """Speech is heard and answered with sound, whatever carries it."""
    async with calling(embedded.url, codec=codec, rate=rate, reply=reply) as caller:
        final, done = await ask(caller, "Do you remember me", rate)
    assert final.text
    assert done.status == "completed"
    audio = caller.of(told.Audio)
    seconds = sum(len(e.pcm) / 2 / e.rate for e in audio)
    assert seconds > len(done.heard) * 0.03
    assert max(max(e.pcm) for e in audio) > 0


async def test_the_order_of_a_turn(embedded: Graph) -> None:
    """What the protocol page promises: the first of each kind, in order."""
    async with calling(embedded.url, codec="pcm16", rate=16_000) as caller:
        await caller.speak(speak("Do you remember me", 16_000), 16_000)
        async with caller.listening(16_000):
            await caller.until(lambda e: isinstance(e, told.ReplyDone))
    firsts = list(dict.fromkeys(caller.kinds()))
    wanted = ["Ready", "SpeechStarted", "SpeechStopped", "Final", "ReplyStarted"]
    assert [kind for kind in firsts if kind in wanted] == wanted
    assert firsts.index("ReplyStarted") < firsts.index("Audio")


async def test_a_caller_who_speaks_up_is_obeyed(embedded: Graph) -> None:
    """Speech over a reply recalls its audio; its words end it; the next turn is answered."""
    async with calling(embedded.url, codec="pcm16", rate=16_000) as caller:
        await caller.client.send_text("Are you sure that you are a computer and not a human being?")
        await caller.until_a(told.Audio)
        await caller.speak(speak("Stop it. Do you remember me", 16_000), 16_000)
        async with caller.listening(16_000):
            flush = await caller.until_a(told.Flush)
            done = await caller.until(lambda e: getattr(e, "status", "") == "interrupted")
            assert flush.reply_id == done.reply_id
            after = await caller.until(
                lambda e: isinstance(e, told.ReplyDone) and e.reply_id != done.reply_id
            )
    assert after.status == "completed"


async def test_eight_calls_at_once_keep_to_themselves(embedded: Graph) -> None:
    """None drops, and nobody hears words that another one said."""
    names = ["apple", "banana", "cherry", "orange", "lemon", "melon", "grape", "peach"]

    async def one(name: str) -> str:
        async with calling(embedded.url, codec="opus", rate=16_000) as caller:
            for _ in range(2):
                await caller.client.send_text(f"I want {name}")
                await caller.until(lambda e: isinstance(e, told.ReplyDone))
            await caller.speak(speak("Do you remember me", 16_000), 16_000)
            async with caller.listening(16_000):
                done = await caller.until_a(told.ReplyDone, 30)
            assert done.status == "completed"
            return "".join(e.delta for e in caller.of(told.ReplyText))

    replies = await asyncio.gather(*(one(name) for name in names))
    for name, reply in zip(names, replies, strict=True):
        assert not [other for other in names if other != name and other in reply]


async def test_a_killed_recogniser_is_back_for_the_next_turn(embedded: Graph) -> None:
    """SIGKILL in mid-turn: the call goes on, and later turns are understood again."""
    async with calling(embedded.url, codec="pcm16", rate=16_000) as caller:
        speech = speak("Do you remember me", 16_000)
        await caller.speak(speech[: len(speech) // 2], 16_000)
        embedded.replica("SpeechToText").send_signal(signal.SIGKILL)
        await caller.speak(speech[len(speech) // 2 :], 16_000)
        async with caller.listening(16_000):
            outcome = await caller.until(lambda e: isinstance(e, told.Final | told.ServerError), 40)
            if isinstance(outcome, told.Final):
                await caller.until_a(told.ReplyDone)
        final, done = await ask(caller, "Do you remember me", 16_000)
        assert final.text
        assert done.status == "completed"
