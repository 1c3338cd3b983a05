"""Ask the agent by a recording: `python -m clients.ask_file question.mp3 --out answer.mp3`.

A folder is asked file by file: `--out` is a folder then. What is answered already is not asked
again, so a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from clients.ask_folder import Batch, ask_folder
from clients.speech_to_speech import FORMATS, URL, NoAnswer, Wishes, ask, server


@dataclass(frozen=True)
class Options:
    """The command line."""

    question: Path
    out: Path
    url: str
    voice: str | None
    language: str | None
    instructions: str | None
    timeout: float
    format: str
    at_once: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. The exit status: 0 if every recording was answered, 130 after
    Ctrl-C."""
    options = _options(arguments)
    wishes = Wishes(options.voice, options.language, options.instructions, options.timeout)
    try:
        if options.question.is_dir():
            batch = Batch(options.question, options.out, f".{options.format}", options.at_once)
            failed = asyncio.run(_ask_all(batch, options.url, wishes))
            return 1 if failed else 0
        asyncio.run(_ask_one(options, wishes))
    except NoAnswer as error:
        print(f"ask: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _ask_one(options: Options, wishes: Wishes) -> None:
    async with server(options.url, wishes) as client:
        answer = await ask(client, options.question, options.out, wishes)
    print(f"you         {answer.transcript}")
    print(f"agent       {answer.reply}")
    print(f"wrote       {options.out}")
    took = "  ".join(f"{stage} {ms:.1f}" for stage, ms in answer.timings.items())
    print(f"ms          {took}")


async def _ask_all(batch: Batch, url: str, wishes: Wishes) -> int:
    async with server(url, wishes) as client:
        return await ask_folder(client, batch, wishes, sys.stdout)


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="ask_file", description=__doc__)
    add = parser.add_argument
    add("question", type=Path, help="a recording, or a folder of them")
    add("--out", type=Path, help="the answer: .mp3, .wav, .opus, .flac (answer.mp3; answers/)")
    add("--url", default=URL, help="the agent (%(default)s)")
    add("--voice", help="voice of the answers")
    add("--language", help="language of the recordings and the answers")
    add("--instructions", help="what the agent is told before it answers")
    add("--timeout", type=float, default=120.0, help="longest silence of the server, s")
    add("--format", choices=sorted(set(FORMATS.values())), default="mp3", help="of a folder's")
    add("--at-once", type=int, default=2, help="recordings of a folder that are asked together")
    namespace = parser.parse_args(arguments)
    if namespace.out is None:
        namespace.out = Path("answers" if namespace.question.is_dir() else "answer.mp3")
    options = Options(**cast("dict[str, object]", vars(namespace)))  # pyright: ignore[reportArgumentType] (argparse checked them)
    if not options.question.is_dir() and options.out.suffix.lower() not in FORMATS:
        parser.error(f"--out: an answer ends in {', '.join(FORMATS)}")
    if options.at_once < 1:
        parser.error("--at-once must be 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
