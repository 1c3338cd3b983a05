"""`/v1/me`: what is kept of a key's owner, given out and erased."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.access.key_ring import new_key
from serve_app.archive.archive import Archive
from serve_app.archive.records import Begun, Ended, Line, Sound
from serve_app.archive.writer import RecordingFile
from serve_app.errors import StageRefused
from serve_app.rest import own_data
from serve_app.rest.endpoints import Service
from serve_app.rest.entrance import Entrance
from serve_app.resume.store import StoreLost
from tests import ingress
from tests.archives import KEY, NOW, archive_in
from tests.serve_app.rest.http_client import fault
from tests.serve_app.rest.speech_stages import RestFakes
from tests.serve_app.resume.test_stores import TableConversations

PAGE = (Path(__file__).parents[3] / "docs" / "privacy.md").read_text()
EXAMPLES = re.findall(r"^curl .*$", PAGE, re.MULTILINE)


class Lost(TableConversations):
    """A store that does not answer."""

    async def of(self, owner: str) -> list[bytes]:
        """See ConversationStore."""
        raise StoreLost(f"gone with {owner}")

    async def erase(self, owner: str) -> int:
        """See ConversationStore."""
        raise StoreLost(f"gone with {owner}")


class Server:
    """An ingress with keys, and what it keeps."""

    def __init__(self, app: Any, replica: Any, keys: Path, archive: Archive) -> None:
        self.archive = archive
        self.conversations = TableConversations(60.0)
        self.stages = RestFakes()
        self._app, self._replica, self._keys = app, replica, keys

    def use(self, conversations: TableConversations | None) -> None:
        """Keep conversations there."""
        old: Service = self._replica._entrance._service
        service = Service(
            self.stages, old.settings, old.registration, old.load, self.archive, conversations
        )
        self._replica._entrance = Entrance(service)

    def client(self, owner: str) -> httpx.AsyncClient:
        """A client with a key of this owner's."""
        shown, line = new_key("test", owner)
        self._keys.write_text(self._keys.read_text() + line)
        return ingress.web(self._app, authorization=f"Bearer {shown}")

    def record(self, owner: str, text: str, seconds: float = 1.0) -> Path:
        """A recording."""
        path = self.archive.shelf.new_path(owner, NOW)
        file = RecordingFile(path, KEY)
        file.begin(Begun("call", owner, "/ws", NOW))
        file.write(Sound(0, b"\1\0\2\0" * round(seconds * 16_000)))
        file.write(Line(0, "caller", text))
        file.end(Ended(NOW, 0))
        return path


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """With something of anna's, and of bert's."""
    monkeypatch.setattr("serve_app.access.key_file.LOOK_EVERY_S", 0.0)
    monkeypatch.setenv("PARLEY_RECORDING_KEY", KEY.hex())
    keys = tmp_path / "keys.jsonl"
    keys.write_text("")
    settings = {"auth": {"keys_file": str(keys)}}
    async with ingress.open_ingress(**settings) as app:
        replica = ingress.serve.get_replica_context().servable_object
        served = Server(app, replica, keys, archive_in(tmp_path / "recordings"))
        served.use(served.conversations)
        for owner in ("anna", "bert"):
            served.record(owner, f"{owner}'s words")
            await served.conversations.put(owner, "a", owner, f'"{owner}\'s turn"'.encode())
            await served.stages.register_voice(f"{owner}-voice", b"RIFF " + owner.encode(), owner)
        yield served


def members(response: httpx.Response) -> dict[str, bytes]:
    """What is in the zip of an answer."""
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


async def test_an_owners_data_is_given_out(server: Server) -> None:
    """All of it, by any of the owner's keys, and nothing of another's."""
    async with server.client("anna") as client:
        found = members(await client.get("/v1/me/export"))
    [path] = server.archive.shelf.of("anna")
    assert json.loads(found.pop("contents.json")) == {
        "owner": "anna",
        "recordings": [path.stem],
        "unreadable_recordings": [],
        "conversations": 1,
        "voices": ["anna-voice"],
    }
    about = json.loads(found.pop(f"recordings/{path.stem}.json"))
    assert about["transcript"] == [{"at_ms": 0, "who": "caller", "text": "anna's words"}]
    assert len(found.pop(f"recordings/{path.stem}.wav")) == 44 + 64_000
    assert found == {
        "conversations/1.json": b'"anna\'s turn"',
        "voices/anna-voice.wav": b"RIFF anna",
    }


async def test_an_owners_data_is_erased(server: Server) -> None:
    """What was there is told; a second time nothing is; another's stays, and can be given out."""
    async with server.client("anna") as client:
        erased = {"recordings": 1, "conversations": 1, "voices": ["anna-voice"]}
        told = (await client.delete("/v1/me")).json()
        assert told == {"object": "owner.erased", "owner": "anna", **erased}
        again = (await client.delete("/v1/me")).json()
        assert (again["recordings"], again["conversations"], again["voices"]) == (0, 0, [])
        assert list(members(await client.get("/v1/me/export"))) == ["contents.json"]
    async with server.client("bert") as client:
        assert len(members(await client.get("/v1/me/export"))) == 5


async def test_a_recording_that_cannot_be_read_is_named(server: Server) -> None:
    """The others are given out all the same."""
    bad = server.record("anna", "more")
    data = bytearray(bad.read_bytes())
    data[-1] ^= 1
    bad.write_bytes(bytes(data))
    async with server.client("anna") as client:
        found = members(await client.get("/v1/me/export"))
    assert json.loads(found["contents.json"])["unreadable_recordings"] == [bad.stem]
    assert sum(name.endswith(".wav") for name in found) == 2


async def test_a_long_recording_comes_in_pieces(server: Server) -> None:
    """Longer than a thread gives out at once, and none of it is missing."""
    server.record("carl", "long", seconds=60)
    async with server.client("carl") as client:
        found = members(await client.get("/v1/me/export"))
    assert sorted(map(len, found.values()))[-1] == 44 + 60 * 64_000


async def test_a_store_that_does_not_answer(server: Server) -> None:
    """Nothing is said to be erased or complete that is not."""
    server.use(Lost(60.0))
    async with server.client("anna") as client:
        for answer in (await client.get("/v1/me/export"), await client.delete("/v1/me")):
            assert fault(answer) == (503, "store_unavailable", None)


async def test_a_disk_that_refuses(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same."""

    def refuse(path: Path) -> None:
        del path
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "unlink", refuse)
    async with server.client("anna") as client:
        assert fault(await client.delete("/v1/me")) == (503, "store_unavailable", None)


async def test_a_voice_that_was_deleted_meanwhile(server: Server) -> None:
    """It is gone, which is what was wanted."""

    async def gone(name: str) -> None:
        raise StageRefused("tts", f"there is no {name}", "voice_not_found")

    server.stages.delete_voice = gone  # type: ignore[method-assign]
    async with server.client("anna") as client:
        assert (await client.delete("/v1/me")).status_code == 200


async def test_where_nothing_is_kept(server: Server) -> None:
    """Nothing is found."""
    server.use(None)
    async with server.client("dora") as client:
        told = (await client.delete("/v1/me")).json()
        assert (told["recordings"], told["conversations"], told["voices"]) == (0, 0, [])


async def test_without_keys_nobody_has_an_owner() -> None:
    """Everybody would be given everybody's."""
    async with ingress.open_ingress() as app, ingress.web(app) as client:
        for answer in (await client.get("/v1/me/export"), await client.delete("/v1/me")):
            assert fault(answer) == (404, "keys_not_used", None)


@pytest.mark.parametrize("command", EXAMPLES)
async def test_the_pages_examples(server: Server, command: str) -> None:
    """docs/privacy.md: each request is sent as it stands, and answered as it says."""
    words = shlex.split(command)
    method = "DELETE" if "DELETE" in words else "GET"
    assert "Authorization: Bearer $KEY" in words
    path = words[-1].removeprefix("http://127.0.0.1:8000")
    async with server.client("anna") as client:
        response = await client.request(method, path)
    if method == "GET":
        assert members(response)
    else:
        [shown] = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        example, told = json.loads(shown), response.json()
        assert {name: type(value) for name, value in example.items()} == {
            name: type(value) for name, value in told.items()
        }
        assert (example["object"], example["owner"]) == (told["object"], told["owner"])


def test_the_page_shows_each_request() -> None:
    """Of the two."""
    assert [command.split()[-1] for command in EXAMPLES] == [
        "http://127.0.0.1:8000" + endpoint.path for endpoint in own_data.ENDPOINTS
    ]


async def test_a_call_through_the_ingress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the client's consent on a socket to the owner's export, by the real thread."""
    monkeypatch.setenv("PARLEY_RECORDING_KEY", KEY.hex())
    shown, line = new_key("test", "anna")
    (tmp_path / "keys.jsonl").write_text(line)
    settings = {
        "auth": {"keys_file": str(tmp_path / "keys.jsonl")},
        "recording": {"directory": str(tmp_path / "recordings")},
    }
    bearer = {"authorization": f"Bearer {shown}"}
    async with ingress.open_ingress(**settings) as app:
        async with ingress.ring_up(app, "/ws", {"codec": "pcm16"}, **bearer) as socket:
            assert (await socket.next_json())["recordable"] is True
            socket.say('{"type": "record", "consent": true}')
            assert await socket.next_json() == {"type": "recording", "on": True, "keep_days": 30.0}
            socket.say('{"type": "text", "text": "hello there"}')
            while (await socket.next_json())["type"] != "reply_done":
                pass
        async with ingress.web(app, **bearer) as client:
            found = members(await client.get("/v1/me/export"))
    [about] = [
        json.loads(data)
        for name, data in found.items()
        if name.startswith("recordings/") and name.endswith(".json")
    ]
    texts = [(line["who"], line["text"]) for line in about["transcript"]]
    assert texts == [("caller", "hello there"), ("agent", "Good morning.")]
