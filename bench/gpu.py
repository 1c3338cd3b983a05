"""`python -m bench.gpu`: how fast VoXtream speaks on this machine's card, one stream and more.

Runs in the voice's environment (`make bench-gpu`). A stream is a process with the backend of
deployments/backends/tts_voxtream.py, as a replica is. How fast a model is does not hang on what its
weights are, so without the real ones it is measured with random ones of the same size.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias, cast

from deployments.backends import create
from deployments.contracts import SpeechRequest

PHRASES = (
    "It is sunny and warm in the town today.",
    "You may want to take a hat, and something to drink on your way to the river.",
    "Have a good walk.",
)
LOAD_S = 900.0
"""Compiling takes minutes."""
SPEAK_S = 600.0
PAPER_FIRST_PACKET_MS, PAPER_REAL_TIME_FACTOR = 102, 0.17
"""What VoXtream's authors state, on a card of theirs."""

Pipe: TypeAlias = "Connection[Any, Any]"


class StreamFailed(Exception):
    """A stream did not load, or ended."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One phrase: time to its first packet, and time of computing a second of audio after it."""

    first_packet_ms: float
    real_time_factor: float


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each number of streams; 1 where no card is seen, or a stream fails."""
    parser = argparse.ArgumentParser(prog="bench.gpu", description=__doc__)
    parser.add_argument("--streams", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--rounds", type=int, default=5, help="times that each phrase is said")
    parser.add_argument("--settings", type=json.loads, default={}, help="of the backend, as JSON")
    parser.add_argument("--random", action="store_true", help="weights made here, of full size")
    options = parser.parse_args(argv)
    settings: dict[str, object] = {"device": "cuda", **options.settings}
    if settings["device"] == "cuda" and not import_module("torch").cuda.is_available():
        print("bench-gpu: torch sees no card here", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as directory:
        if options.random:
            make = cast("Callable[[Path], dict[str, object]]", _checkpoints().full)
            settings |= make(Path(directory))
        try:
            _rows(options.streams or [1, 2, 3, 4], options.rounds, settings)
        except StreamFailed as error:
            print(f"bench-gpu: {error}", file=sys.stderr)
            return 1
    return 0


def _checkpoints() -> Any:
    """The tests' maker of checkpoints."""
    return import_module("tests.tiny.voxtream")


def _rows(streams: Sequence[int], rounds: int, settings: dict[str, object]) -> None:
    print(f"{_card()}; each stream says {len(PHRASES) * rounds} phrases.\n")
    print(
        "| streams | first packet p50, ms | worst, ms | real-time factor p50 | worst | keeps up |"
    )
    print("| --: | --: | --: | --: | --: | --- |")
    for count in streams:
        spoken = measure(count, rounds, settings)
        firsts = [phrase.first_packet_ms for phrase in spoken]
        factors = [phrase.real_time_factor for phrase in spoken]
        print(
            f"| {count} | {median(firsts):.0f} | {max(firsts):.0f} | {median(factors):.3f} "
            f"| {max(factors):.3f} | {'yes' if max(factors) < 1 else 'no'} |",
            flush=True,
        )
    paper = f"{PAPER_FIRST_PACKET_MS} ms and {PAPER_REAL_TIME_FACTOR}"
    print(f"\nFor one stream its authors state {paper}.")


def measure(count: int, rounds: int, settings: dict[str, object]) -> list[Spoken]:
    """All phrases of so many streams that speak at once. Raises StreamFailed."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = list[Pipe](), list[SpawnProcess]()
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_stream, args=(theirs, rounds, settings), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        for pipe in pipes:
            _received(pipe, LOAD_S)
        for pipe in pipes:
            pipe.send("speak")
        return [phrase for pipe in pipes for phrase in _received(pipe, SPEAK_S)]
    finally:
        for process in processes:
            process.kill()
            process.join()


def _received(pipe: Pipe, within_s: float) -> Any:
    if not pipe.poll(within_s):
        raise StreamFailed(f"a stream said nothing for {within_s:g} s")
    try:
        return pipe.recv()
    except EOFError as error:
        raise StreamFailed("a stream ended; what it said is above") from error


def _stream(pipe: Pipe, rounds: int, settings: dict[str, object]) -> None:
    """In a process of its own: load, wait for the others, speak."""
    backend = create("tts", "voxtream", settings)
    backend.load()
    pipe.send("loaded")
    pipe.recv()
    pipe.send([_say(backend.speak, text) for _ in range(rounds) for text in PHRASES])
    pipe.recv()


def _say(speak: Callable[[SpeechRequest], Any], text: str) -> Spoken:
    began = time.perf_counter()
    chunks = speak(SpeechRequest(text))
    next(chunks)
    first = time.perf_counter()
    rest_ms = sum(chunk.duration_ms for chunk in chunks)
    took_ms = (time.perf_counter() - first) * 1000
    return Spoken((first - began) * 1000, took_ms / rest_ms if rest_ms else 0.0)


def _card() -> str:
    cuda = import_module("torch").cuda
    return cast(str, cuda.get_device_name(0)) if cuda.is_available() else "No card: a CPU"


if __name__ == "__main__":
    sys.exit(main())
