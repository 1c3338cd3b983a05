"""The page in a real browser, on the graph that `make run` starts."""

from __future__ import annotations

import contextlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.sample_voice import SAMPLE_QUESTION, speak
from tests.clients_real.browser import GRANTED, Tab, browsing
from tests.e2e.graph import Graph

pytestmark = pytest.mark.timeout(300)

RATE = 48_000
LONG_QUESTION = "Are you sure that you are a computer and not a human being?"


@contextlib.asynccontextmanager
async def page(graph: Graph, directory: Path, said: str) -> AsyncIterator[Tab]:
    """The page, in a browser whose microphone hears a question once, when it is opened."""
    recording = directory / "said.wav"
    with wave.open(str(recording), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(RATE) + speak(said, RATE))
    flags = [
        GRANTED,
        f"--use-file-for-fake-audio-capture={recording}%noloop",
    ]
    async with browsing(directory / "profile", *flags) as tab:
        await tab.open(f"http://{graph.host}/")
        await tab.until("document.querySelectorAll('#voice option').length > 1")
        yield tab


async def test_a_spoken_question_is_answered_aloud(embedded: Graph, tmp_path: Path) -> None:
    """Press once, talk: the words are on the page, the answer too, and it is to be heard."""
    async with page(embedded, tmp_path, SAMPLE_QUESTION) as tab:
        await tab.click("#talk")
        await tab.until("document.querySelector('.you.done')")
        # The small recogniser may hear another last word through the browser's noise suppression.
        assert (await tab.text(".you p")).startswith("i want to talk about my")
        # Words come as they are spoken: some are there while others are still to be said.
        await tab.until("window.heard.frames > 5 && document.querySelector('.agent.speaking p')")
        early = await tab.text(".agent p")
        await tab.until("document.querySelector('.agent.done')")
        reply = await tab.text(".agent p")
        assert reply.startswith(early)
        assert len(early) < len(reply)
        assert len(reply.split()) > 3
        heard = await tab.evaluate("window.heard")
        assert heard["frames"] > 20  # of 20 ms, at the loudspeaker
        assert heard["loudest"] > 0.02
        parts = await tab.evaluate("document.querySelector('#bar').ariaLabel")
        assert parts.startswith("Answered after ")
        assert "pause that ends a turn" in parts
        assert await tab.evaluate("document.querySelectorAll('.agent .past i').length") >= 4
        line = await tab.text("#line")
        print(f"{tab.received_bytes} bytes loaded; {line}; {parts}")
        assert "Opus both ways" in line
        assert tab.received_bytes < 60_000, "the page, the list of voices, all that it asked for"
        assert tab.complaints == []
        assert {url.split("/")[2] for url in tab.requested} == {embedded.host}


async def test_typed_to_and_interrupted(embedded: Graph, tmp_path: Path) -> None:
    """A typed turn is answered aloud; speaking over it silences it, and is answered."""
    async with page(embedded, tmp_path, "Stop it. Do you remember me") as tab:
        await tab.write("#text", LONG_QUESTION)
        await tab.until("window.heard.level > 0.01 && document.querySelector('.agent.speaking')")
        await tab.click("#talk")
        await tab.until("document.querySelector('.agent.cut')")
        cut = await tab.text(".agent.cut p")
        await tab.until("document.querySelectorAll('.agent.done').length === 2")
        said = await tab.evaluate(
            "[...document.querySelectorAll('#turns li')].map((li) =>"
            " [li.classList[0], li.querySelector('p').innerText])"
        )
        assert [who for who, _ in said] == ["you", "agent", "you", "agent"]
        assert said[0][1] == LONG_QUESTION
        assert said[1][1] == cut
        assert "remember" in said[2][1]
        assert said[3][1]
        assert tab.complaints == []
