"""clients.ask_file: one recording, and a folder of them, asked of a server that is scripted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from clients import ask_folder, speech_to_speech
from clients.ask_file import main

AUDIO = b"the answer"


class Server:
    """What was asked, and the answers to come: a status each, 200 after the last."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, dict[str, str]]] = []
        self.keys: list[str | None] = []
        self.statuses: list[int] = []
        self.refuses: Callable[[bytes], bool] = lambda _: False
        self.breaks_off = False
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    """An HTTP server in threads of its own."""
    script = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            path = urlsplit(self.path)
            assert path.path == "/v1/speech-to-speech"
            script.asked.append((data, dict(parse_qsl(path.query))))
            script.keys.append(self.headers["authorization"])
            status = script.statuses.pop(0) if script.statuses else 200
            if script.refuses(data):
                status = 400
            if status == 200:
                self._answer(data)
            else:
                self._refuse(status)

        def _answer(self, data: bytes) -> None:
            self.send_response(200)
            self.send_header("x-transcript", f"heard {data.decode()}")
            self.send_header("x-reply", "Sch%C3%B6n")
            self.send_header("server-timing", "stt;dur=41.0, llm;dur=4.0, tts;dur=7.5")
            self.send_header("content-length", str(len(AUDIO)))
            self.end_headers()
            self.wfile.write(AUDIO[:3] if script.breaks_off else AUDIO)

        def _refuse(self, status: int) -> None:
            body = json.dumps({"error": {"message": "no words", "code": "no_speech"}}).encode()
            self.send_response(status)
            self.send_header("retry-after", "0")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{http.server_address[1]}"
    serving = threading.Thread(target=http.serve_forever, daemon=True)
    serving.start()
    yield script
    http.shutdown()
    http.server_close()
    serving.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three recordings, one within a folder, and what is none."""
    questions = tmp_path / "questions"
    (questions / "more").mkdir(parents=True)
    for name in ("a.wav", "b.mp3", "more/a.flac", "notes.txt"):
        (questions / name).write_bytes(name.encode())
    return questions


def test_one_recording(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its answer is written, in the format of the file's name; texts and times are shown."""
    question, out = tmp_path / "q.wav", tmp_path / "answer.flac"
    question.write_bytes(b"q")
    assert main([str(question), "--out", str(out), "--url", server.url, "--voice", "anna"]) == 0
    assert out.read_bytes() == AUDIO
    assert server.asked == [(b"q", {"voice": "anna", "format": "flac"})]
    shown = capsys.readouterr().out
    assert "heard q" in shown
    assert "Schön" in shown
    assert "stt 41.0  llm 4.0  tts 7.5" in shown


def test_the_key_of_the_environment(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goes with the request; without one there is none."""
    question, out = tmp_path / "q.wav", tmp_path / "answer.mp3"
    question.write_bytes(b"q")
    monkeypatch.delenv(speech_to_speech.KEY_VARIABLE, raising=False)
    assert main([str(question), "--out", str(out), "--url", server.url]) == 0
    monkeypatch.setenv(speech_to_speech.KEY_VARIABLE, "k")
    assert main([str(question), "--out", str(out), "--url", server.url]) == 0
    assert server.keys == [None, "Bearer k"]


def test_what_is_refused(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says why, the status says that, and an earlier answer stays as it is."""
    question, out = tmp_path / "q.wav", tmp_path / "answer.mp3"
    question.write_bytes(b"q")
    out.write_bytes(b"earlier")
    server.statuses = [400]
    assert main([str(question), "--out", str(out), "--url", server.url]) == 1
    assert capsys.readouterr().err == "ask: no words (400 no_speech)\n"
    assert out.read_bytes() == b"earlier"


def test_half_an_answer_is_none(server: Server, tmp_path: Path) -> None:
    """Nothing of it is left."""
    question, out = tmp_path / "q.wav", tmp_path / "answer.mp3"
    question.write_bytes(b"q")
    server.breaks_off = True
    assert main([str(question), "--out", str(out), "--url", server.url]) == 1
    assert list(tmp_path.iterdir()) == [question]


def test_a_server_without_room_is_asked_again(server: Server, tmp_path: Path) -> None:
    """When it says so, and not for ever."""
    question, out = tmp_path / "q.wav", tmp_path / "answer.mp3"
    question.write_bytes(b"q")
    server.statuses = [429, 503]
    assert main([str(question), "--out", str(out), "--url", server.url]) == 0
    assert len(server.asked) == 3
    server.statuses = [503] * 100
    assert main([str(question), "--out", str(out), "--url", server.url]) == 1
    assert len(server.asked) == 3 + speech_to_speech.TRIES


@pytest.mark.parametrize("name", ["missing.wav", "q.wav"])
def test_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A file, or a server."""
    (tmp_path / "q.wav").write_bytes(b"q")
    arguments = [str(tmp_path / name), "--out", str(tmp_path / "a.mp3")]
    assert main([*arguments, "--url", "http://127.0.0.1:9"]) == 1
    assert ("No such file" if name == "missing.wav" else "nobody answers") in (
        capsys.readouterr().err
    )


def test_a_folder(
    server: Server, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each recording has its answer and a note of it; progress is shown."""
    out = tmp_path / "out"
    assert main([str(folder), "--out", str(out), "--url", server.url, "--format", "opus"]) == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert written == [
        "a.wav.json",
        "a.wav.opus",
        "b.mp3.json",
        "b.mp3.opus",
        "more/a.flac.json",
        "more/a.flac.opus",
    ]
    note = json.loads((out / "a.wav.json").read_text())
    assert (note["transcript"], note["reply"]) == ("heard a.wav", "Schön")
    assert note["timings"] == {"stt": 41.0, "llm": 4.0, "tts": 7.5}
    assert "3/3  " in capsys.readouterr().out


def test_a_folder_goes_on_where_it_was(
    server: Server, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What failed is listed, and asked again by the next run; what is done is not."""
    out = tmp_path / "out"
    arguments = [str(folder), "--out", str(out), "--url", server.url]
    server.refuses = lambda data: data == b"b.mp3"
    assert main(arguments) == 1
    assert f"failed: {folder / 'b.mp3'}: no words" in capsys.readouterr().out
    server.refuses = lambda _: False
    server.asked.clear()
    assert main(arguments) == 0
    assert [data for data, _ in server.asked] == [b"b.mp3"]
    assert "2 of 3 are answered already" in capsys.readouterr().out
    server.asked.clear()
    assert main(arguments) == 0
    assert server.asked == []


def test_a_run_that_was_killed_leaves_nothing_half_done(
    server: Server, folder: Path, tmp_path: Path
) -> None:
    """An answer without its note is asked again."""
    out = tmp_path / "out"
    (out / "more").mkdir(parents=True)
    (out / "a.wav.mp3").write_bytes(b"half")
    assert main([str(folder), "--out", str(out), "--url", server.url]) == 0
    assert (out / "a.wav.mp3").read_bytes() == AUDIO


def test_answers_within_the_folder_are_no_questions(server: Server, folder: Path) -> None:
    """However often it is asked."""
    out = folder / "answers"
    for _ in range(2):
        assert main([str(folder), "--out", str(out), "--url", server.url]) == 0
    assert len(server.asked) == 3


def test_a_folder_without_recordings(tmp_path: Path, server: Server) -> None:
    """Is an error."""
    assert main([str(tmp_path), "--out", str(tmp_path / "out"), "--url", server.url]) == 1


@pytest.mark.parametrize(
    "arguments", [["--out", "answer.txt"], ["--at-once", "0"], ["--format", "midi"]]
)
def test_wrong_arguments(tmp_path: Path, arguments: list[str]) -> None:
    """Are refused before anything is sent."""
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "q.wav"), *arguments])
    assert stopped.value.code == 2


async def test_at_most_so_many_at_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next begins when one has ended."""
    running, most = 0, 0

    async def ask(*_: object) -> speech_to_speech.Answer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await ask_folder.asyncio.sleep(0)
        running -= 1
        return speech_to_speech.Answer("", "", {})

    monkeypatch.setattr(ask_folder, "ask", ask)
    batch = ask_folder.Batch(folder, tmp_path / "out", ".mp3", 2)
    wishes = speech_to_speech.Wishes()
    with (tmp_path / "screen").open("w") as screen:
        async with speech_to_speech.server("http://127.0.0.1:9", wishes) as client:
            assert await ask_folder.ask_folder(client, batch, wishes, screen) == 0
    assert most == 2
