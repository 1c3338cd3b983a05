"""Chromium without a screen, driven by its DevTools protocol over `websockets`.

A driver library would do, but each brings a Node.js of 40 MB or a browser of its own; what the
page's tests need of the protocol are eight commands.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # A container's root has no other choice; only our own page is opened.
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--autoplay-policy=user-gesture-required",
    "--use-fake-device-for-media-stream",
)
GRANTED = "--use-fake-ui-for-media-stream"
"""The caller lets the page have the microphone."""
START_S = 60.0
PATIENCE_S = 60.0

HEARD = """
(() => {
  // What reaches the loudspeaker is measured outside the page's own code.
  const connect = AudioNode.prototype.connect;
  window.heard = {loudest: 0, frames: 0};
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode) {
      const ear = new AnalyserNode(to.context, {fftSize: 2048});
      connect.call(this, ear);
      const samples = new Float32Array(2048);
      setInterval(() => {
        ear.getFloatTimeDomainData(samples);
        const level = Math.hypot(...samples) / Math.sqrt(samples.length);
        window.heard.level = level;
        window.heard.loudest = Math.max(window.heard.loudest, level);
        if (level > 0.005) window.heard.frames += 1;
      }, 20);
    }
    return connect.call(this, to, ...rest);
  };
})();
"""


class PageFailed(AssertionError):
    """An expression threw in the page, or never came true."""


class Tab:
    """One page in a profile of its own."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket = socket
        self._session = session
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        """Errors and warnings of the page: console, exceptions, policy violations."""
        self.requested: list[str] = []
        """Addresses that were fetched."""
        self.received_bytes = 0
        """What came for them, headers included."""

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command to the page and wait for its result."""
        number = next(self._ids)
        answered = asyncio.get_running_loop().create_future()
        self._answers[number] = answered
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send(json.dumps({**message, "sessionId": self._session}))
        async with asyncio.timeout(PATIENCE_S):
            answer: dict[str, Any] = await answered
        if "error" in answer:
            raise PageFailed(f"{method}: {answer['error']['message']}")
        return answer["result"]

    async def read(self) -> None:
        """Take what the browser sends, until cancelled."""
        async for text in self._socket:
            message = json.loads(text)
            if message.get("sessionId") != self._session:
                continue
            if "id" in message:
                answered = self._answers.pop(message["id"])
                if not answered.done():  # Whoever asked may have given up.
                    answered.set_result(message)
            else:
                self._note(message["method"], message["params"])

    def _note(self, method: str, told: dict[str, Any]) -> None:
        match method:
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                said = [arg.get("value", arg.get("description")) for arg in told["args"]]
                self.complaints.append(f"console: {said}")
            case "Runtime.exceptionThrown":
                self.complaints.append(f"exception: {told['exceptionDetails']}")
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                entry = told["entry"]
                self.complaints.append(f"log: {entry['text']} {entry.get('url', '')}")
            case "Network.requestWillBeSent":
                self.requested.append(told["request"]["url"])
            case "Network.webSocketCreated":
                self.requested.append(told["url"])
            case "Network.loadingFinished":
                self.received_bytes += told["encodedDataLength"]
            case _:
                pass

    async def open(self, url: str) -> None:
        """Go there; returns when its script has run and it is painted: it takes no press before."""
        await self.command("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")
        await self.until("performance.getEntriesByName('first-contentful-paint').length")

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression, or what its promise becomes. As if the user had clicked."""
        told = await self.command(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in told:
            raise PageFailed(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    async def until(self, expression: str, limit_s: float = PATIENCE_S) -> Any:
        """The expression's first value that is true; it is looked at each frame."""
        try:
            async with asyncio.timeout(limit_s):
                return await self.evaluate(
                    "new Promise((resolve, reject) => { const look = () => {"
                    f"try {{ const value = {expression};"
                    " if (value) resolve(value); else setTimeout(look, 16); }"
                    " catch (error) { reject(error); } }; look(); })"
                )
        except TimeoutError:
            text = await self.evaluate("document.body.innerText")
            raise PageFailed(f"{expression} did not come true; the page says: {text}") from None

    async def click(self, selector: str) -> None:
        """Press a button as a pointer does, once it has stayed where it is for some frames."""
        box = await self.evaluate(
            "new Promise((resolve) => { let last = '', stayed = 0; const look = () => {"
            f" const b = document.querySelector('{selector}').getBoundingClientRect();"
            " const now = [b.x + b.width / 2, b.y + b.height / 2];"
            " stayed = now.join() === last ? stayed + 1 : 0; last = now.join();"
            " if (stayed < 3) requestAnimationFrame(look); else resolve(now); }; look(); })"
        )
        at = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            await self.command("Input.dispatchMouseEvent", type=kind, **at)

    async def press(self, key: str, code: int) -> None:
        """Press a key of the keyboard: its name and its Windows code."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.command(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **text,
            )

    async def write(self, selector: str, text: str) -> None:
        """Type into a box, and press Enter."""
        await self.evaluate(f"document.querySelector('{selector}').focus()")
        await self.command("Input.insertText", text=text)
        await self.press("Enter", 13)

    async def text(self, selector: str) -> str:
        """What an element says."""
        return await self.evaluate(f"document.querySelector('{selector}').innerText")

    async def picture(self) -> bytes:
        """What is to be seen, as a PNG."""
        shot = await self.command("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


@contextlib.asynccontextmanager
async def browsing(profile: Path, *flags: str, microphone: str = "granted") -> AsyncIterator[Tab]:
    """A tab of a new browser. `microphone`: what a caller answers, `granted` or `denied`."""
    program = shutil.which("chromium")
    assert program, "the page's tests need Debian's package chromium"
    process = await asyncio.create_subprocess_exec(
        program,
        *FLAGS,
        f"--user-data-dir={profile}",
        *flags,
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(START_S):
            url = await _devtools(process)
        async with connect(url, max_size=None, compression=None) as socket:
            tab = Tab(socket, await _attach(socket, microphone))
            reading = asyncio.create_task(tab.read())
            try:
                for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
                    await tab.command(f"{domain}.enable")
                await tab.command("Page.addScriptToEvaluateOnNewDocument", source=HEARD)
                yield tab
            finally:
                reading.cancel()
                await asyncio.wait([reading])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _devtools(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said = ""
    async for line in process.stderr:
        said += line.decode(errors="replace")
        _, found, url = line.decode(errors="replace").partition("DevTools listening on ")
        if found:
            return url.strip()
    raise AssertionError(f"the browser did not start: {said}")


async def _attach(socket: ClientConnection, microphone: str) -> str:
    """The session of the browser's first page."""

    async def ask(number: int, method: str, **parameters: Any) -> dict[str, Any]:
        await socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    permission = {"name": "microphone"}
    await ask(1, "Browser.setPermission", permission=permission, setting=microphone)
    targets = await ask(2, "Target.getTargets")
    [page] = [one for one in targets["targetInfos"] if one["type"] == "page"]
    attached = await ask(3, "Target.attachToTarget", targetId=page["targetId"], flatten=True)
    return attached["sessionId"]
