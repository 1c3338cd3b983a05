"""Talk with the agent from a shell: `python -m clients.talk [FILE …]`, or `--mic`.

Each file is a turn of one call. Without any, a sample question is asked in an embedded voice.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from clients.audio_file import AudioFileError, read_speech, write_wav
from clients.caller import Caller, NoAnswer, RecordedCaller, Turn
from clients.echo_gate import EchoGate
from clients.level_meter import LevelMeter
from clients.live_screen import LiveScreen
from clients.opus import ENCODER_RATES
from clients.playback import Playback
from clients.progress import Progress
from clients.sample_voice import SAMPLE_QUESTION, SampleVoiceMissing, speak
from clients.screen import Screen
from clients.session import Loudspeaker, Session, Silent
from clients.session_table import session_table
from clients.sound_card import Microphone, SoundCardMissing, Speaker, sound_card, sound_device
from clients.voice_client import CallError, CallRefused, Codec, VoiceClient
from clients.wire import BadMessage

_PCM_RATES = (8_000, 48_000)
_QUIET = "speak; Ctrl-C ends the call; headphones keep echo out (or: --loudspeaker)"
_LOUD = "speak; Ctrl-C ends the call; what the loudspeaker plays is not sent, louder speech is"


@dataclass(frozen=True)
class Options:
    """The command line."""

    files: Sequence[Path]
    say: Sequence[str]
    mic: bool
    loudspeaker: bool
    record: bool
    url: str
    codec: Codec
    rate: int
    reply: Codec
    voice: str | None
    language: str | None
    api_key: str | None
    out: Path
    timeout: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. The exit status: 0 if every turn was answered, 130 after Ctrl-C."""
    options = _options(arguments)
    try:
        asyncio.run(_talk(options))
    except CallRefused as error:
        return _fail(_refusal(error))
    except BadMessage as error:
        return _fail(f"the server sent {error}")
    except (CallError, NoAnswer, AudioFileError, SampleVoiceMissing, SoundCardMissing) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


async def _talk(options: Options) -> None:
    turns = [] if options.mic else _turns(options)
    device = sound_device() if options.mic else None
    screen = _screen(options)
    async with VoiceClient.connect(
        options.url,
        codec=options.codec,
        rate=options.rate,
        reply=options.reply,
        voice=options.voice,
        language=options.language,
        api_key=options.api_key,
    ) as call:
        progress, playback = Progress(), Playback()

        def begin(caller: Caller, loudspeaker: Loudspeaker) -> Session:
            return Session(
                call, caller, progress, playback, screen, loudspeaker, consent=options.record
            )

        if device is None:
            caller = RecordedCaller(
                turns,
                options.rate,
                progress,
                playback,
                patience_s=options.timeout,
                on_turn=lambda turn: screen.line("speaking", turn.name),
            )
            await _run(begin(caller, Silent()), options.out)
            return
        microphone, speaker = _microphone(options, screen), Speaker()
        with sound_card(device, microphone, speaker), _ctrl_c(microphone.stop):
            screen.line("listening", _LOUD if options.loudspeaker else _QUIET)
            try:
                await _run(begin(microphone, speaker), options.out)
            finally:
                microphone.stop()


def _screen(options: Options) -> Screen:
    """A level moves only where somebody sees it."""
    if options.mic and sys.stdout.isatty():
        return LiveScreen(sys.stdout, lambda: shutil.get_terminal_size().columns)
    return Screen(sys.stdout)


def _microphone(options: Options, screen: Screen) -> Microphone:
    meter = LevelMeter()

    def watch(pcm: bytes, echo: bool) -> None:
        line = meter.push(pcm, echo=echo)
        if line is not None:
            screen.level(line)

    gate = EchoGate() if options.loudspeaker else None
    return Microphone(options.rate, time.monotonic, gate, watch)


async def _run(session: Session, out: Path) -> None:
    screen = session.screen
    try:
        await session.run()
    finally:
        screen.close()
        played = session.playback.played(session.clock())
        if played:
            seconds = write_wav(out, played)
            screen.line("wrote", f"{out} ({seconds:.1f} s)")
        if session.playback.underruns:
            screen.line("underruns", f"{session.playback.underruns}")
        screen.block(session_table(session.measured))


def _turns(options: Options) -> list[Turn]:
    turns = [Turn(str(path), read_speech(path, options.rate)) for path in options.files]
    said = options.say or ([] if turns else [SAMPLE_QUESTION])
    return turns + [Turn(f'"{text}"', speak(text, options.rate)) for text in said]


@contextmanager
def _ctrl_c(stop: Callable[[], None]) -> Generator[None]:
    """Ctrl-C ends the call in good order instead of breaking it off."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _refusal(error: CallRefused) -> str:
    if error.code in ("unreachable", "timeout"):
        return f"{error}: is `make run` up?"
    if error.status is None:
        return str(error)
    again = f"; try again in {error.retry_after_s:g} s" if error.retry_after_s is not None else ""
    return f"the server refused the call: {error} ({error.status} {error.code}){again}"


def _fail(message: str) -> int:
    print(f"talk: {message}", file=sys.stderr)
    return 1


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="talk", description=__doc__)
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="FILE", help="speech, any common audio format")
    add("--say", action="append", default=[], metavar="TEXT", help="a turn in an embedded voice")
    add("--mic", action="store_true", help="talk through the microphone, listen by headphones")
    add("--loudspeaker", action="store_true", help="with --mic: not by headphones; keeps echo back")
    add(
        "--record",
        action="store_true",
        help="agree that the call is recorded, where the server records calls",
    )
    add("--url", default="ws://127.0.0.1:8000/ws", help="the agent (%(default)s)")
    add("--codec", choices=("opus", "pcm16"), default="opus", help="what is sent (%(default)s)")
    add("--rate", type=int, default=16_000, help="sample rate of what is sent, Hz (%(default)s)")
    add("--reply", choices=("pcm16", "opus"), default="pcm16", help="what comes (%(default)s)")
    add("--voice", help="voice of the replies")
    add("--language", help="language of the call")
    add(
        "--api-key",
        default=os.environ.get("PARLEY_API_KEY"),
        help="a key, where the server asks for one; PARLEY_API_KEY keeps it out of sight",
    )
    add("--out", type=Path, default=Path("reply.wav"), help="the replies' audio (%(default)s)")
    add(
        "--timeout", type=float, default=30.0, help="longest silence of the server, s (%(default)g)"
    )
    namespace = parser.parse_args(arguments)
    options = Options(**cast("dict[str, object]", vars(namespace)))  # pyright: ignore[reportArgumentType] (argparse checked them)
    if options.mic and (options.files or options.say):
        parser.error("--mic goes without FILE and --say")
    if options.loudspeaker and not options.mic:
        parser.error("--loudspeaker goes with --mic")
    if options.codec == "opus" and options.rate not in ENCODER_RATES:
        parser.error(f"--rate: Opus has {', '.join(map(str, ENCODER_RATES))}")
    if not _PCM_RATES[0] <= options.rate <= _PCM_RATES[1]:
        parser.error(f"--rate must be from {_PCM_RATES[0]} to {_PCM_RATES[1]}")
    return options


if __name__ == "__main__":
    sys.exit(main())
