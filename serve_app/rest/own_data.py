"""`/v1/me`: what this server keeps of the key's owner, given out or erased (docs/privacy.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from deployments.logs import logger
from serve_app.access.door import visitor_of
from serve_app.archive import playback
from serve_app.archive.bundle import Bundle
from serve_app.archive.sealed import Unreadable
from serve_app.dialects.json_text import dump
from serve_app.errors import PeerError, StageRefused
from serve_app.rest.answers import answer
from serve_app.rest.endpoints import Endpoint, Schema, Service
from serve_app.resume.store import StoreLost

log = logger("rest")

PATH: Final = "/v1/me"
EXPORT_PATH: Final = f"{PATH}/export"
STORE_S: Final = 5.0
"""How long the store of conversations may take, once for all."""


async def export_own(service: Service, request: Request) -> Response:
    """A zip of what is kept of the key's owner: recordings with their transcripts, conversations
    that can be gone on with, registered voices. `contents.json` comes last and says what there is.
    """
    owner = _owner(request)
    conversations = await _conversations(service, owner)
    voices = await service.stages.voices_of(owner)
    pieces = _bundle(service, owner, conversations, voices)
    headers = {"content-disposition": 'attachment; filename="parley-export.zip"'}
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


async def erase_own(service: Service, request: Request) -> Response:
    """Erase all of it, recordings of calls in progress too. Safe to ask for again."""
    owner = _owner(request)
    recordings = 0
    if service.archive is not None:
        try:
            recordings = await asyncio.to_thread(service.archive.shelf.erase, owner)
        except OSError as error:
            log.error("an owner's recordings were not erased: %s", error.strerror)
            text = "recordings cannot be erased now"
            raise PeerError("store_unavailable", text, status=503) from error
    conversations = 0
    if service.conversations is not None:
        try:
            async with asyncio.timeout(STORE_S):
                conversations = await service.conversations.erase(owner)
        except (StoreLost, TimeoutError) as error:
            raise _lost(error) from error
    voices = await service.stages.voices_of(owner)
    for name in voices:
        try:
            await service.stages.delete_voice(name)
        except StageRefused as error:
            if error.fault != "voice_not_found":  # It was deleted meanwhile.
                raise
    erased = {"recordings": recordings, "conversations": conversations, "voices": list(voices)}
    return answer({"object": "owner.erased", "owner": owner, **erased})


def _owner(request: Request) -> str:
    visitor = visitor_of(request.scope)
    if visitor.key is None:
        text = "this is for the owners of keys, and this server asks for none"
        raise PeerError("keys_not_used", text, status=404)
    return visitor.owner


async def _conversations(service: Service, owner: str) -> list[bytes]:
    if service.conversations is None:
        return []
    try:
        async with asyncio.timeout(STORE_S):
            return await service.conversations.of(owner)
    except (StoreLost, TimeoutError) as error:
        raise _lost(error) from error


def _lost(error: Exception) -> PeerError:
    log.warning("an owner's conversations were not reached: %s", str(error) or "time-out")
    return PeerError("store_unavailable", "conversations are not to be had now", status=503)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A recording that can be read."""

    name: str
    path: Path
    recording: playback.Recording


async def _bundle(
    service: Service, owner: str, conversations: list[bytes], voices: tuple[str, ...]
) -> AsyncGenerator[bytes]:
    bundle = Bundle()
    opened: list[_Opened] = []
    unreadable: list[str] = []
    key = b""
    if service.archive is not None:
        key = service.archive.key
        for path in await asyncio.to_thread(service.archive.shelf.of, owner):
            try:
                opened.append(_Opened(path.stem, path, await _read(path, key)))
            except FileNotFoundError:
                continue  # Its time had come.
            except (Unreadable, OSError) as error:
                log.warning("a recording cannot be exported: %s", error)
                unreadable.append(path.stem)
    for each in opened:
        about = iter([dump(each.recording.told()).encode()])
        sound = playback.wav(each.path, key, each.recording.moments)
        for name, content in ((f"{each.name}.json", about), (f"{each.name}.wav", sound)):
            async for piece in _made(bundle.add(f"recordings/{name}", content)):
                yield piece
    for number, conversation in enumerate(conversations, start=1):
        async for piece in _made(bundle.add(f"conversations/{number}.json", iter([conversation]))):
            yield piece
    for name in voices:
        wav = await service.stages.voice_recording(name)
        async for piece in _made(bundle.add(f"voices/{name}.wav", iter([wav]))):
            yield piece
    contents = {
        "owner": owner,
        "recordings": [each.name for each in opened],
        "unreadable_recordings": unreadable,
        "conversations": len(conversations),
        "voices": list(voices),
    }
    async for piece in _made(bundle.add("contents.json", iter([dump(contents).encode()]))):
        yield piece
    yield bundle.end()


async def _read(path: Path, key: bytes) -> playback.Recording:
    return await asyncio.to_thread(playback.read, path, key)


async def _made(pieces: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """What a thread makes, as it makes it: deciphering and disks would hold up every call."""
    step = partial(next, pieces, None)
    while (piece := await asyncio.to_thread(step)) is not None:
        if piece:
            yield piece


def _counted(names: Iterable[str]) -> dict[str, Schema]:
    return {name: {"type": "integer", "minimum": 0} for name in names}


_ERASED: Final[Schema] = {
    "type": "object",
    "properties": {
        "object": {"const": "owner.erased"},
        "owner": {"type": "string"},
        **_counted(("recordings", "conversations")),
        "voices": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["object", "owner", "recordings", "conversations", "voices"],
}
_ZIP: Final[Schema] = {"type": "string", "format": "binary"}

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        EXPORT_PATH,
        export_own,
        "Everything that is kept of the key's owner",
        given={"application/zip": _ZIP},
        errors=(404,),
        works=False,
    ),
    Endpoint(
        "DELETE",
        PATH,
        erase_own,
        "Erase everything that is kept of the key's owner",
        given={"application/json": _ERASED},
        errors=(404,),
        works=False,
    ),
)
