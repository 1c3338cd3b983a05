"""`python -m bench.endurance`: memory of a system while many calls come and go, as a table."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.caller import Caller, Script
from bench.clip import make_clip
from bench.process_tree import RAY_PARTS, Parts, memory, snapshot, total
from bench.systems import ROOT, SYSTEMS, System, running
from bench.yardstick import decisions_due

SYSTEM_NAMES = ("control", "parley", "pipecat")
STEPS = 4
"""Parts that the calls are counted in: memory is read before the first and after each."""
SPREAD_S = 4.0
"""The first calls begin within this time; each of the later ones when another ends."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(prog="bench.endurance", description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--systems", type=lambda text: text.split(","), default=SYSTEM_NAMES)
    parser.add_argument("--peer", type=Path, default=ROOT / ".venv-bench" / "bin" / "python")
    options = parser.parse_args(argv)
    uvloop.run(_run(options))
    return 0


async def _run(options: argparse.Namespace) -> None:
    clip = make_clip()
    script = Script(clip, decisions_due(clip, 1))
    counts = [options.calls * step // STEPS for step in range(STEPS + 1)]
    print(f"| system | {' | '.join(f'after {n}, MB' for n in counts)} | calls lost |")
    print(f"| --- |{' --: |' * (len(counts) + 1)}")
    for system in SYSTEMS:
        if system.name in options.systems:
            held, lost = await _endure(system, script, options)
            for name, of in (("", total), (" without Ray's own", _own)):
                if name and "gcs" not in held[0]:
                    continue
                cells = " | ".join(f"{of(parts):.0f}" for parts in held)
                print(f"| `{system.name}`{name} | {cells} | {lost} |", flush=True)


async def _endure(
    system: System, script: Script, options: argparse.Namespace
) -> tuple[list[Parts], int]:
    """Memory by part, before and after each step; how many calls were lost."""
    async with running(system, None, options.peer) as server:
        # What is loaded late, and what as many calls at once need, is held before the first.
        await _calls(server.url, script, 2 * options.at_once, options.at_once)
        held, lost = [await _memory(server.root)], 0
        for _ in range(STEPS):
            lost += await _calls(server.url, script, options.calls // STEPS, options.at_once)
            held.append(await _memory(server.root))
    return held, lost


async def _calls(url: str, script: Script, calls: int, at_once: int) -> int:
    """Make so many calls of one turn and an interruption each; how many were lost."""
    numbers, lost = iter(range(calls)), 0

    async def one_after_another(wait_s: float) -> None:
        nonlocal lost
        await asyncio.sleep(wait_s)
        for _ in numbers:
            caller = Caller(url, script, [0, 0], 0.0)
            await caller.run()
            lost += caller.call.lost is not None

    async with asyncio.TaskGroup() as tasks:
        for line in range(at_once):
            tasks.create_task(one_after_another(SPREAD_S * line / at_once))
    return lost


async def _memory(root: int) -> Parts:
    return memory(await asyncio.to_thread(snapshot, root))


def _own(parts: Parts) -> float:
    return total({part: mb for part, mb in parts.items() if part not in RAY_PARTS})


if __name__ == "__main__":
    sys.exit(main())
