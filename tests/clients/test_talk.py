"""The command line, against a scripted server. Recordings are short: time is real here."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import wave
from array import array
from pathlib import Path

import pytest

from clients.sample_voice import SAMPLE_QUESTION
from clients.talk import main
from serve_app.conversation import announcements as said
from serve_app.conversation.events import AudioReceived, HangUp, RecordingAnswered
from tests.clients.scripted_server import Peer, Script, refuse, serve
from tests.clients.test_sound_card import FakeSoundDevice, FakeStream


def _file(path: Path) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(array("h", [9000] * 800).tobytes())
    return str(path)


async def _run(script: Script, *arguments: str) -> int:
    async with serve(script) as url:
        return await asyncio.to_thread(main, [*arguments, "--url", url])


async def _hear_voice(peer: Peer) -> None:
    """Until a voice has begun and stopped."""
    for voiced in (True, False):
        while any((await peer.hear(AudioReceived)).payload) is not voiced:
            pass


def _agent(turns: int) -> Script:
    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", "v", None))
        for turn in range(turns):
            await _hear_voice(peer)
            await peer.say(
                said.PartialTranscript("I need"), said.FinalTranscript("I need it", 0, 50)
            )
            await peer.say(said.ReplyStarted(f"r{turn}"), said.ReplyText(f"r{turn}", "Why?"))
            pcm = array("h", [7000] * 800).tobytes()
            await peer.say(said.ReplyAudio(f"r{turn}", 8000, pcm))
            await peer.say(said.TurnTimings(f"r{turn}", 200, 41.5, 2, 10, 20))
            await peer.say(said.ReplyDone(f"r{turn}", "completed", "Why?"))
        await peer.hear(HangUp)

    return script


async def test_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Both are turns of one call; the reply is written, the table is printed, the exit is 0."""
    files = [_file(tmp_path / name) for name in ("one.wav", "two.wav")]
    out = tmp_path / "reply.wav"
    status = await _run(_agent(2), *files, "--codec", "pcm16", "--out", str(out))
    printed = capsys.readouterr()
    assert (status, printed.err) == (0, "")
    lines = [line.split(maxsplit=1) for line in printed.out.splitlines() if line.strip()]
    assert [line[0] for line in lines[:9]] == [
        "connected",
        *["speaking", "hearing", "you", "agent"] * 2,
    ]
    assert lines[1][1] == files[0]
    assert ["STT", "41.5      41.5      41.5     2"] in lines
    assert any(line[0] == "end-to-end" and not line[1].startswith("-") for line in lines)
    with wave.open(str(out)) as file:
        assert file.getframerate() == 8000
        samples = array("h", file.readframes(-1))
    assert samples.count(7000) == 1600


async def test_the_sample_question(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Without a file a question is asked in the embedded voice, in Opus."""
    packets: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        for _ in range(50):
            packets.append((await peer.hear(AudioReceived)).payload)
        await peer.say(said.FinalTranscript("I need a holiday", 0, 900))
        await peer.say(said.ReplyStarted("r"), said.ReplyDone("r", "completed", ""))
        await peer.hear(HangUp)

    assert await _run(script, "--out", str(tmp_path / "reply.wav")) == 0
    assert f'speaking    "{SAMPLE_QUESTION}"' in capsys.readouterr().out
    assert max(map(len, packets)) > 40
    assert not (tmp_path / "reply.wav").exists()


async def test_a_call_that_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`--record` says that the caller agrees; without it nothing is said of it."""
    agreed: list[RecordingAnswered] = []

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None, recordable=True))
        agreed.append(await peer.hear(RecordingAnswered))
        await peer.say(said.RecordingChanged(True, 30.0))
        await _hear_voice(peer)
        await peer.say(said.FinalTranscript("hello", 0, 50))
        await peer.say(said.ReplyStarted("r"), said.ReplyDone("r", "completed", ""))
        await peer.hear(HangUp)

    out = ("--out", str(tmp_path / "reply.wav"))
    file = _file(tmp_path / "q.wav")
    assert await _run(script, file, "--codec", "pcm16", "--record", *out) == 0
    assert agreed == [RecordingAnswered(True)]
    assert "(recorded from now on, kept for 30 days)" in capsys.readouterr().out


async def test_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A line on standard error, the table all the same, and exit status 1."""

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        await peer.hear(HangUp)

    file = _file(tmp_path / "q.wav")
    assert await _run(script, file, "--timeout", "0.1") == 1
    printed = capsys.readouterr()
    assert printed.err == f"talk: no answer to {file} within 0.1 s\n"
    assert "end-to-end" in printed.out


async def test_a_server_that_sends_nonsense(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """One line."""

    async def script(peer: Peer) -> None:
        await peer.socket.send("{")
        await peer.socket.wait_closed()

    assert await _run(script, _file(tmp_path / "q.wav")) == 1
    assert capsys.readouterr().err == "talk: the server sent a text message that is not JSON\n"


@pytest.mark.parametrize("options", [[], ["--api-key", "parley_given"]])
async def test_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]):
    """The environment's, or that of the command line; in a header, not in the address."""
    monkeypatch.setenv("PARLEY_API_KEY", "parley_kept")
    seen: list[tuple[str, str]] = []

    async def script(peer: Peer) -> None:
        assert peer.socket.request is not None
        seen.append((peer.socket.request.headers["Authorization"], peer.socket.request.path))
        await peer.socket.close(1013)

    assert await _run(script, _file(tmp_path / "q.wav"), *options) == 1
    [(shown, path)] = seen
    assert shown == f"Bearer {options[-1] if options else 'parley_kept'}"
    assert "parley_" not in path


async def test_no_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The server's reason, and when to come back."""
    async with refuse(503, retry_after="7") as url:
        status = await asyncio.to_thread(main, [_file(tmp_path / "q.wav"), "--url", url])
    assert status == 1
    assert capsys.readouterr().err == (
        "talk: the server refused the call: Later (503 full); try again in 7 s\n"
    )


def test_no_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """It asks whether one was started."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{bound.getsockname()[1]}/ws"
        assert main([_file(tmp_path / "q.wav"), "--url", url]) == 1
    assert capsys.readouterr().err == f"talk: nothing answers at {url}: is `make run` up?\n"


def test_no_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """It repeats what is no address."""
    assert main([_file(tmp_path / "q.wav"), "--url", "here"]) == 1
    assert capsys.readouterr().err == "talk: not a WebSocket address: here\n"


def test_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A missing file is found before anyone is called."""
    assert main([str(tmp_path / "q.wav")]) == 1
    assert capsys.readouterr().err == f"talk: {tmp_path / 'q.wav'}: no such file\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--codec", "mp3"], "--codec"),
        (["--rate", "44100"], "Opus has 8000"),
        (["--rate", "96000", "--codec", "pcm16"], "from 8000 to 48000"),
        (["--mic", "q.wav"], "without FILE"),
        (["--mic", "--say", "hello"], "without FILE"),
        (["--loudspeaker", "q.wav"], "goes with --mic"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    """Exit status 2 and what is wrong."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_without_a_sound_card(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`--mic` says what is missing before it calls."""
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["--mic"]) == 1
    assert "sounddevice" in capsys.readouterr().err


class _PersonAtTheCard(FakeSoundDevice):
    """A sound card whose microphone hears frames as soon as it is started."""

    def _stream(self, name: str, options: dict[str, object]) -> FakeStream:
        stream = super()._stream(name, options)
        if name == "input":
            for _ in range(10):
                stream.callback(bytes(640), 320, None, None)
        return stream


class _ServerThread:
    """A scripted server beside the main thread, which `main` needs for Ctrl-C."""

    def __init__(self, script: Script) -> None:
        self.url = ""
        self._script = script
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> str:
        self._thread.start()
        self._ready.wait(10)
        return self.url

    def __exit__(self, *_exception: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with serve(self._script) as self.url:
            self._ready.set()
            await self._done.wait()


@pytest.mark.parametrize("options", [[], ["--loudspeaker"]])
def test_a_person_at_the_microphone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
):
    """Spoken frames go up, the reply is kept, Ctrl-C ends the call in good order, and the table
    has every row."""
    ended: list[HangUp] = []

    async def script(peer: Peer) -> None:
        await peer.say(said.CallReady("c1", None, None))
        for _ in range(5):
            await peer.hear(AudioReceived)
        await peer.say(said.FinalTranscript("hello", 0, 20), said.ReplyStarted("r"))
        await peer.say(said.ReplyAudio("r", 16_000, array("h", [7000] * 160).tobytes()))
        await peer.say(said.TurnTimings("r", 200, 41.5, 2, 10, 20))
        await peer.say(said.ReplyDone("r", "completed", ""))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        ended.append(await peer.hear(HangUp))

    monkeypatch.setitem(sys.modules, "sounddevice", _PersonAtTheCard())
    with _ServerThread(script) as url:
        status = main(["--mic", *options, "--url", url, "--out", str(tmp_path / "reply.wav")])
    printed = capsys.readouterr()
    assert (status, printed.err) == (0, "")
    assert ended == [HangUp()]
    assert "you         hello" in printed.out
    rows = [line.split() for line in printed.out.splitlines()[-6:]]
    assert [row[0] for row in rows] == ["STT", "LLM", "TTS", "pipeline", "network", "end-to-end"]
    assert all(int(row[-1]) >= 1 for row in rows)
    assert float(rows[-1][1]) >= 0
    assert "#" not in printed.out, "levels move on a terminal alone"
