"""A recording and the agent's spoken answer to it, by `/v1/speech-to-speech`.

The answer's file is there only once it is whole.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote

import httpx2

FORMATS: Final = {
    ".mp3": "mp3",
    ".wav": "wav",
    ".opus": "opus",
    ".ogg": "opus",
    ".flac": "flac",
}
"""What an answer may be, by the ending of its file."""

RECORDINGS: Final = frozenset(
    (".wav", ".mp3", ".flac", ".ogg", ".opus", ".webm", ".m4a", ".aac", ".mp4")
)
"""Endings of the files that may be asked."""

URL: Final = "http://127.0.0.1:8000"
KEY_VARIABLE: Final = "PARLEY_API_KEY"
TRIES: Final = 8
"""How often a server that has no room is asked."""
_LONGEST_WAIT_S: Final = 30.0
_CONNECT_S: Final = 10.0


class NoAnswer(Exception):
    """A recording got no answer; the text is one line that says why."""


@dataclass(frozen=True)
class Wishes:
    """How to answer; None: as the server has it.

    `timeout`: the longest silence of the server, in seconds.
    """

    voice: str | None = None
    language: str | None = None
    instructions: str | None = None
    timeout: float = 120.0

    def query(self, out: Path) -> dict[str, str]:
        """As the request has it, for an answer in `out`."""
        asked = {
            "voice": self.voice,
            "language": self.language,
            "instructions": self.instructions,
            "format": FORMATS[out.suffix.lower()],
        }
        return {name: value for name, value in asked.items() if value}


@dataclass(frozen=True)
class Answer:
    """What was heard and said, and what each stage took, in ms."""

    transcript: str
    reply: str
    timings: Mapping[str, float]


@asynccontextmanager
async def server(url: str, wishes: Wishes) -> AsyncGenerator[httpx2.AsyncClient]:
    """A server; the key in the environment's PARLEY_API_KEY, if any, opens it."""
    key = os.environ.get(KEY_VARIABLE)
    async with httpx2.AsyncClient(
        base_url=url,
        headers={"authorization": f"Bearer {key}"} if key else {},
        timeout=httpx2.Timeout(wishes.timeout, connect=_CONNECT_S),
        trust_env=False,
    ) as client:
        yield client


async def ask(client: httpx2.AsyncClient, question: Path, out: Path, wishes: Wishes) -> Answer:
    """Write the answer to a recording into `out`. Raises NoAnswer; then `out` is as it was."""
    try:
        data = await asyncio.to_thread(question.read_bytes)
    except OSError as error:
        raise NoAnswer(f"{question}: {error.strerror}") from error
    for tries_left in range(TRIES - 1, -1, -1):
        try:
            return await _asked(client, data, out, wishes)
        except _NoRoom as error:
            if not tries_left:
                raise NoAnswer(f"{question}: {error}") from error
            await asyncio.sleep(error.wait_s)
        except httpx2.ConnectError as error:
            raise NoAnswer(f"{client.base_url}: nobody answers: is `make run` up?") from error
        except httpx2.HTTPError as error:
            raise NoAnswer(f"{question}: the answer broke off: {error!r}") from error
        except OSError as error:
            raise NoAnswer(f"{out}: {error.strerror}") from error
    raise AssertionError("the last try has returned or raised")


class _NoRoom(Exception):
    def __init__(self, text: str, wait_s: float) -> None:
        super().__init__(text)
        self.wait_s = wait_s


async def _asked(client: httpx2.AsyncClient, data: bytes, out: Path, wishes: Wishes) -> Answer:
    path, headers = "/v1/speech-to-speech", {"content-type": "application/octet-stream"}
    unfinished = out.with_name(f".{out.name}.part")
    async with client.stream(
        "POST", path, content=data, headers=headers, params=wishes.query(out)
    ) as response:
        if response.status_code != 200:
            await response.aread()
            raise _refused(response)
        answer = Answer(
            unquote(response.headers.get("x-transcript", "")),
            unquote(response.headers.get("x-reply", "")),
            _timings(response.headers.get("server-timing", "")),
        )
        try:
            with unfinished.open("wb") as file:
                async for piece in response.aiter_bytes():
                    file.write(piece)
            unfinished.replace(out)
        finally:
            unfinished.unlink(missing_ok=True)
    return answer


def _refused(response: httpx2.Response) -> Exception:
    try:
        told = cast("Mapping[str, Mapping[str, str]]", response.json())["error"]
        text = f"{told['message']} ({response.status_code} {told['code']})"
    except (ValueError, KeyError, TypeError):
        text = f"the server answered {response.status_code}"
    if response.status_code in (429, 503):
        after = response.headers.get("retry-after", "")
        wait_s = float(after) if after.isdigit() else 1.0
        return _NoRoom(text, min(wait_s, _LONGEST_WAIT_S))
    return NoAnswer(text)


def _timings(header: str) -> dict[str, float]:
    """`stt;dur=41.0, llm;dur=4.0` → ms by stage."""
    entries = (entry.strip().partition(";dur=") for entry in header.split(","))
    return {name: float(ms) for name, _, ms in entries if ms.replace(".", "", 1).isdigit()}
