"""The page before a call is open: what it says of a microphone, server or key that is not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from serve_app.conversation import announcements as say
from serve_app.conversation.events import TextTyped
from serve_app.errors import PeerError
from tests.clients_real.browser import GRANTED, browsing
from tests.clients_real.page_server import Peer, polite, serving, tone

pytestmark = pytest.mark.timeout(180)

LOADING = {
    "ready": False,
    "stages": {"stt": "ready", "llm": "loading weights, 40 %", "tts": "starting"},
}
READY = {"ready": True, "stages": {}, "languages": ["de", "en"]}


def refusing(*errors: PeerError) -> Callable[[Peer], Awaitable[None]]:
    """Refuses the first calls as the ingress refuses a browser's, then takes them."""
    left = list(errors)

    async def script(peer: Peer) -> None:
        if not left:
            await polite(peer)
            return
        error = left.pop(0)
        await peer.say(say.CallError(error.code, error.message))
        await peer.socket.close(error.close_code or 1008)

    return script


async def test_no_permission(tmp_path: Path) -> None:
    """The caller says no: the page says what to do, and typing still works."""
    heard: list[str] = []

    async def script(peer: Peer) -> None:
        await peer.ready()
        heard.append((await peer.hear(TextTyped)).text)
        await peer.say(say.ReplyStarted("r1"), say.ReplyText("r1", "Fine."))
        await peer.speak("r1", tone(500))
        await peer.say(say.ReplyDone("r1", "completed", "Fine."))
        await peer.stay()

    async with serving(script) as server, browsing(tmp_path, microphone="denied") as tab:
        await tab.open(server.url)
        await tab.click("#talk")
        await tab.until("!document.querySelector('#problem').hidden")
        assert "microphone is blocked" in await tab.text("#problem")
        assert await tab.text("#talk") == "Talk"
        await tab.write("#text", "hello")
        await tab.until("document.querySelector('.agent p')?.innerText === 'Fine.'")
        assert await tab.text("#status") == "Typing only"
    assert heard == ["hello"]


async def test_no_microphone(tmp_path: Path) -> None:
    """None is connected: what the browser then says, as the fake one cannot be taken away."""
    none = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{}'))"
    async with serving(polite) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        await tab.evaluate(none.format("NotFoundError") + "; 0")
        await tab.click("#talk")
        await tab.until("!document.querySelector('#problem').hidden")
        assert "No microphone was found" in await tab.text("#problem")


async def test_no_secure_context(tmp_path: Path) -> None:
    """Over plain http from another machine there is no microphone, and the text is shown."""

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.hear(TextTyped)
        await peer.say(say.ReplyStarted("r1"), say.ReplyText("r1", "Read me."))
        await peer.stay()

    elsewhere = "--host-resolver-rules=MAP agent.test 127.0.0.1"
    async with serving(script) as server, browsing(tmp_path, elsewhere) as tab:
        await tab.open(f"http://agent.test:{server.port}/")
        await tab.click("#talk")
        await tab.until("document.querySelector('#problem').innerText.includes('https')")
        await tab.write("#text", "hello")
        await tab.until("document.querySelector('.agent p')?.innerText === 'Read me.'")


async def test_the_server_is_full(tmp_path: Path) -> None:
    """It says so, counts down, tries again, and the call begins when there is room."""
    full = PeerError("at_capacity", "all lines are busy", close_code=1013, status=503)
    async with serving(refusing(full, full)) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        await tab.click("#talk")
        await tab.until(
            "document.querySelector('#countdown').innerText.includes('trying again in')"
        )
        assert "All lines are busy" in await tab.text("#problem")
        assert await tab.text("#talk") == "Hang up"
        await tab.click("#retry")
        await tab.until("document.querySelector('#status').innerText === 'Listening'")
        assert await tab.evaluate("document.querySelector('#problem').hidden")


async def test_the_server_wants_a_key(tmp_path: Path) -> None:
    """The page asks for it, and shows it in a subprotocol: a page can set no header."""
    shown: list[list[str]] = []

    async def script(peer: Peer) -> None:
        shown.append(list(peer.socket.scope["subprotocols"]))
        if len(shown) == 1:
            await refusing(PeerError("invalid_api_key", "a key is needed", close_code=3000))(peer)
        else:
            await polite(peer)

    async with serving(script) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        await tab.click("#talk")
        await tab.until("!document.querySelector('#key-form').hidden")
        await tab.write("#key", "s3cret")
        await tab.until("document.querySelector('#problem').hidden")
        await tab.click("#talk")
        await tab.until("document.querySelector('#status').innerText === 'Listening'")
    assert shown == [[], ["parley", "openai-insecure-api-key.s3cret"]]


async def test_the_models_are_loading(tmp_path: Path) -> None:
    """What each stage does is told until all are ready; then there are voices and languages."""
    async with serving(polite, LOADING) as server, browsing(tmp_path, GRANTED) as tab:
        await tab.open(server.url)
        await tab.until("document.querySelector('#problem').innerText.includes('40 %')")
        told = await tab.text("#problem")
        assert "Language model: loading weights, 40 %" in told
        assert "Speech recognition" not in told
        assert await tab.text("#status") == "Loading"
        server.readiness = READY
        await tab.until("document.querySelector('#problem').hidden")
        await tab.until("document.querySelectorAll('#voice option').length === 3")
        languages = "[...document.querySelectorAll('#language option')].map((o) => o.label)"
        assert await tab.evaluate(languages) == ["Default", "German", "English"]
