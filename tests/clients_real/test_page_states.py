"""The page in a call: a server follows a script; what is shown, played and sent is looked at."""

from __future__ import annotations

import asyncio
import struct
import wave
from pathlib import Path

import pytest

from clients.sample_voice import speak
from serve_app.conversation import announcements as say
from serve_app.conversation.events import (
    AudioReceived,
    ConfigChanged,
    InterruptRequested,
    PlaybackReported,
    RecordingAnswered,
    TextTyped,
)
from tests.clients_real.browser import GRANTED, Tab, browsing
from tests.clients_real.page_server import Peer, polite, serving, tone

pytestmark = pytest.mark.timeout(180)

TEXT = "This is a long answer with a good many words in it, which takes a while to say aloud."


async def test_a_line_that_breaks_is_made_again(tmp_path: Path) -> None:
    """The call goes on without a press, and the page says that the conversation is a new one."""
    calls: list[Peer] = []

    async def script(peer: Peer) -> None:
        calls.append(peer)
        await peer.ready()
        await peer.hear(AudioReceived)
        if len(calls) == 1:
            await peer.say(say.PartialTranscript("half a"))
            await peer.socket.close(1012)
            return
        await peer.stay()

    async with serving(script) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        await tab.click("#talk")
        await tab.until("document.querySelector('.note')")
        assert await tab.text(".you.lost p") == "half a"  # shown as it was heard
        assert "A new conversation begins" in await tab.text(".note")
        assert await tab.text("#status") == "Listening"
        assert await tab.evaluate("document.querySelector('#problem').hidden")
        await tab.click("#talk")
        await tab.until("document.querySelector('#status').innerText === 'Ready'")
    assert len(calls) == 2


async def test_a_resumed_call(tmp_path: Path) -> None:
    """Where `ready` has a token the next connection shows it; what was typed and not taken is said
    again, in the same conversation or, where the token is of no use any more, in a new one."""
    asked: list[str | None] = []
    typed: list[str] = []

    async def script(peer: Peer) -> None:
        asked.append(peer.query.get("resume"))
        await peer.socket.send_json({"type": "ready", "call_id": "c", "resume": f"t{len(asked)}"})
        if len(asked) == 2:
            await peer.socket.send_json({"type": "resumed", "last_turn": "before", "heard": ""})
        if len(asked) == 3:
            await peer.say(say.CallError("resume_unavailable", "too old"))
        typed.append((await peer.hear(TextTyped)).text)
        if len(asked) < 3:
            await peer.socket.close(1011)
            return
        await peer.say(say.ReplyStarted("r1"), say.ReplyText("r1", "At last."))
        await peer.say(say.ReplyDone("r1", "completed", "At last."))
        await peer.stay()

    async with serving(script) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        await tab.write("#text", "hello")
        await tab.until("document.querySelector('.agent.done')")
        notes = await tab.evaluate(
            "[...document.querySelectorAll('.note')].map((n) => n.innerText)"
        )
        assert await tab.evaluate("document.querySelector('#problem').hidden")
    assert asked == [None, "t1", "t2"]
    assert typed == ["hello"] * 3
    assert [note.split(".")[0] for note in notes] == [
        "The connection is back",
        "The connection was lost",
    ]


async def test_a_flush_is_silent_at_once_and_reports_what_was_played(tmp_path: Path) -> None:
    """Long audio is queued at the page; after the flush nothing of it sounds any more."""
    reports: list[PlaybackReported] = []
    flushed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.hear(TextTyped)
        await peer.say(say.ReplyStarted("r1"), say.ReplyText("r1", TEXT))
        await peer.say(say.PhraseBegun("r1", TEXT, 0))
        await peer.speak("r1", tone(8000))
        await peer.hear(InterruptRequested)
        await peer.say(say.ReplyFlushed("r1"))
        flushed.set()
        reports.append(await peer.hear(PlaybackReported))
        await peer.say(say.ReplyDone("r1", "interrupted", "This is a"))
        await peer.stay()

    async with serving(script) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        await tab.write("#text", "talk")
        await tab.until("window.heard.level > 0.05 && !document.querySelector('#stop').disabled")
        await tab.until("document.querySelector('.agent p').innerText.startsWith('This is a')")
        await tab.press("Escape", 27)
        await flushed.wait()
        await tab.until("document.querySelector('.agent.cut') && window.heard.level < 1e-3", 4)
        shown = await tab.text(".agent p")
        assert shown.startswith("This is a")
        assert "aloud" not in shown
    assert reports[0].reply_id == "r1"
    assert 100 < reports[0].played_ms < 7000


async def test_what_is_spoken_is_what_the_server_gets(tmp_path: Path) -> None:
    """The microphone's samples arrive, 20 ms a message, loud; muted they are silence."""
    question = tmp_path / "question.wav"
    with wave.open(str(question), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(speak("one two three four five six seven eight nine ten", 48_000))
    loud, quiet, muted = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        assert (peer.query["codec"], peer.query["reply"]) == ("pcm16", "pcm16")
        rate = int(peer.query["rate"])
        await peer.ready()
        while not quiet.is_set():
            payload = (await peer.hear(AudioReceived)).payload
            assert len(payload) == rate // 50 * 2
            level = max(map(abs, struct.unpack(f"<{len(payload) // 2}h", payload)))
            if level > 3000:
                loud.set()
            if muted.is_set() and level == 0:
                quiet.set()
        await peer.stay()

    without_codecs = "delete globalThis.AudioEncoder; delete globalThis.AudioDecoder;"
    flags = [GRANTED, f"--use-file-for-fake-audio-capture={question}"]
    async with serving(script) as server, browsing(tmp_path / "profile", *flags) as tab:
        await tab.command("Page.addScriptToEvaluateOnNewDocument", source=without_codecs)
        await tab.open(server.url)
        await tab.click("#talk")
        await asyncio.wait_for(loud.wait(), 60)
        await tab.until("getComputedStyle(document.querySelector('#level-in'))"
                        ".getPropertyValue('--level') > 0.3")  # fmt: skip
        await tab.click("#mute")
        muted.set()
        await asyncio.wait_for(quiet.wait(), 60)
        assert await tab.text("#mute") == "Muted"


async def test_voice_and_language(tmp_path: Path) -> None:
    """What is chosen is asked for, also in the middle of a call, and kept for the next visit."""
    queries: list[dict[str, str]] = []
    changed: asyncio.Future[ConfigChanged] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        queries.append(peer.query)
        await peer.ready()
        changed.set_result(await peer.hear(ConfigChanged))
        await peer.stay()

    choose = (
        "(([id, value]) => {{ const s = document.getElementById(id); s.value = value;"
        " s.dispatchEvent(new Event('change')); }})({})"
    )
    async with serving(script) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        await tab.until("document.querySelectorAll('#voice option').length === 3")
        await tab.evaluate(choose.format('["language", "de"]'))
        await tab.click("#talk")
        await tab.until("document.querySelector('#status').innerText === 'Listening'")
        await tab.evaluate(choose.format('["voice", "anna"]'))
        assert (await asyncio.wait_for(changed, 30)).voice == "anna"
        await tab.open(server.url)
        await tab.until("document.querySelector('#voice').value === 'anna'")
    assert (queries[0]["language"], queries[0].get("voice")) == ("de", None)


async def test_a_recording_only_with_consent(tmp_path: Path) -> None:
    """The box is there where the server records calls; it is ticked by the caller alone, shows
    what the server does, and is empty again on each new connection."""
    answers: list[RecordingAnswered] = []
    leave = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.ready(recordable=True)
        for on in (True, False, True):
            answers.append(await peer.hear(RecordingAnswered))
            await peer.say(say.RecordingChanged(on, 30.0 if on else None))
        await leave.wait()
        await peer.socket.close(1012)

    ticked = "document.querySelector('#record').checked"
    async with serving(script) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        assert await tab.evaluate("document.querySelector('#consent').hidden")
        await tab.click("#talk")
        await tab.until("!document.querySelector('#consent').hidden")
        assert not await tab.evaluate(ticked)
        assert ("checkbox", "Record this call") in await names(tab)
        assert await tab.text("#status") == "Listening"
        await tab.click("#record")
        await tab.until("document.querySelector('#recorded').innerText === 'Kept for 30 days.'")
        assert await tab.text("#status") == "Listening · recorded"
        await tab.click("#record")
        await tab.until("document.querySelector('#recorded').innerText.includes('deleted')")
        assert await tab.text("#status") == "Listening"
        await tab.click("#record")
        await tab.until("document.querySelector('.recorded')")
        leave.set()
        await tab.until("document.querySelector('.note')?.innerText.startsWith('The recording')")
        await tab.until("document.querySelector('#status').innerText === 'Listening'")
        assert not await tab.evaluate(ticked)
        await tab.click("#talk")
        await tab.until("document.querySelector('#consent').hidden")
        assert tab.complaints == []
    assert [answer.given for answer in answers] == [True, False, True]


async def test_no_recording_is_offered(tmp_path: Path) -> None:
    """Where the server records no calls there is no box; a refusal all the same is told."""
    refused = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.ready()
        await refused.wait()
        await peer.say(say.CallError("recording_not_offered", "no calls are recorded here"))
        await peer.stay()

    async with serving(script) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        await tab.click("#talk")
        await tab.until("document.querySelector('#status').innerText === 'Listening'")
        assert await tab.evaluate("document.querySelector('#consent').hidden")
        refused.set()
        await tab.until("document.querySelector('#problem').innerText.includes('no calls are')")


async def names(tab: Tab) -> list[tuple[str, str]]:
    """Role and accessible name of all that a person can operate or is told of as an image."""
    tree = (await tab.command("Accessibility.getFullAXTree"))["nodes"]
    roles = {"button", "textbox", "combobox", "checkbox", "image", "img", "heading", "main"}
    roles |= {"log", "status"}
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node.get("ignored") and node["role"]["value"] in roles
    ]


async def test_without_eyes_or_pointer(tmp_path: Path) -> None:
    """All has a name, Tab reaches it in order, the button works from the keyboard, at 360 px."""
    async with serving(polite) as server, browsing(tmp_path, GRANTED) as tab:
        size = {"width": 360, "height": 640, "deviceScaleFactor": 1, "mobile": True}
        await tab.command("Emulation.setDeviceMetricsOverride", **size)
        await tab.open(server.url)
        await tab.until("document.querySelectorAll('#voice option').length === 3")
        named = await names(tab)
        assert {"Talk", "Mute", "Stop", "Send", "Voice", "Language", "Type instead"} <= {
            name for _, name in named
        }
        for role, name in named:
            assert name or role in ("main", "status"), (role, named)
        assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        order = []
        for _ in range(6):
            await tab.press("Tab", 9)
            order.append(await tab.evaluate("document.activeElement.id"))
        assert order == ["voice", "language", "talk-log", "talk", "text", ""]
        await tab.evaluate("document.querySelector('#talk').focus()")
        await tab.press("Enter", 13)
        await tab.until("document.querySelector('#status').innerText === 'Listening'")
        live = "[aria-live],[role=status],[role=alert],[role=log],output"
        found = f"[...document.querySelectorAll('{live}')].map((e) => e.id)"
        assert await tab.evaluate(found) == ["status", "problem"]
