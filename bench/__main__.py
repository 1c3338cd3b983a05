"""`make bench`: measures every system, row by row, and writes down what came out.

    python -m bench --peer .venv-bench/bin/python                 everything: see `--help`
    python -m bench --calls 1,8 --alignments 8 --systems control,parley
    python -m bench --render                                      the document again, from the JSON

Results are kept after each row, so an interrupted run has what it measured until then.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from bench.caller import Script
from bench.clip import make_clip
from bench.figures import Figures, as_json, figures_of, from_json, holds
from bench.picture import picture
from bench.plan import ALIGNMENTS, CALLS, JUDGED_CALLS, SLOT_CALLS
from bench.report import floor_of, replaced, section
from bench.row import measure, warm_up
from bench.systems import ROOT, SYSTEMS, NotReady, System, running
from bench.yardstick import decisions_due

DOCUMENT = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "bench" / "results"
TITLE = "# Performance\n\nWhat was measured, how, and on what.\n"
SLOTS = 2
PAST_THE_KNEE = 2
"""Rows that a system fails in a row before it is given up: beyond that it only fails longer."""
SLOT_SYSTEMS = ("control", "parley", "pipecat")


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one system that one start of it serves."""

    system: System
    slots: int | None
    calls: Sequence[int]

    @property
    def to_the_knee(self) -> bool:
        """Nothing is told of its rows beyond."""
        return self.slots is None and not self.system.judged


def main(argv: list[str] | None = None) -> int:
    """0, or 1 where a system could not be started."""
    options = _parse(argv)
    if options.render:
        saved: dict[str, Any] = json.loads((RESULTS / "bench.json").read_text())
        _write([from_json(entry) for entry in saved["rows"]], saved["conditions"])
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers end with the bench
    try:
        uvloop.run(_run(options))
    except NotReady as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    names = ",".join(system.name for system in SYSTEMS)
    parser = argparse.ArgumentParser(prog="bench", description="Latency and capacity, measured.")
    parser.add_argument("--calls", type=_numbers, default=CALLS)
    parser.add_argument("--slot-calls", type=_numbers, default=SLOT_CALLS)
    parser.add_argument("--judged-calls", type=_numbers, default=JUDGED_CALLS)
    parser.add_argument("--alignments", type=int, default=ALIGNMENTS)
    parser.add_argument(
        "--systems",
        type=lambda text: text.split(","),
        default=names.split(","),
        help="measured in this order",
    )
    parser.add_argument("--peer", type=Path, default=ROOT / ".venv-bench" / "bin" / "python")
    parser.add_argument("--render", action="store_true", help="write the document from the JSON")
    options = parser.parse_args(argv)
    if unknown := set(options.systems) - set(names.split(",")):
        parser.error(f"unknown systems {', '.join(sorted(unknown))}: choose among {names}")
    return options


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


async def _run(options: argparse.Namespace) -> None:
    clip = make_clip()
    script = Script(clip, decisions_due(clip, options.alignments))
    began, rows = time.perf_counter(), list[Figures]()
    for group in _groups(options):
        await _measure_group(group, script, options.peer, rows)
        minutes = (time.perf_counter() - began) / 60
        _write(rows, _conditions(options.alignments, minutes))
    print(f"{len(rows)} rows in {(time.perf_counter() - began) / 60:.1f} min")


def _groups(options: argparse.Namespace) -> list[Group]:
    named = {system.name: system for system in SYSTEMS}
    chosen = [named[name] for name in options.systems]
    free = [
        Group(system, None, options.judged_calls if system.judged else system.rows(options.calls))
        for system in chosen
    ]
    limited = [system for system in chosen if system.name in SLOT_SYSTEMS]
    return free + [
        Group(system, SLOTS, options.slot_calls) for system in limited if options.slot_calls
    ]


async def _measure_group(group: Group, script: Script, peer: Path, rows: list[Figures]) -> None:
    async with running(group.system, group.slots, peer) as server:
        await warm_up(server.url, script)
        failed = 0
        for calls in group.calls:
            row = await measure(server.url, server.root, script, calls)
            figures = figures_of(group.system.name, group.slots, row)
            rows.append(figures)
            _print(figures)
            failed = 0 if holds(figures, floor_of(rows)) else failed + 1
            if group.to_the_knee and failed == PAST_THE_KNEE:
                break


def _print(row: Figures) -> None:
    first = f"{row.first_audio.mean:.0f} ms" if row.first_audio else "no reply"
    slots = f", {row.slots} slots" if row.slots else ""
    print(
        f"{row.system}{slots}: {row.calls} calls, first audio {first}, "
        f"{row.cpu:.2f} CPU s a call-minute, {row.underruns} underruns, "
        f"{row.unanswered} of {row.turns} unanswered, {row.lost_calls} lost",
        flush=True,
    )


def _conditions(alignments: int, minutes: float) -> str:
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return (
        f"Measured on {when} in {minutes:.0f} minutes on {machine}; client and servers share it. "
        f"{alignments} alignments of the clip."
    )


def _write(rows: Sequence[Figures], conditions: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    saved = {"conditions": conditions, "rows": [as_json(row) for row in rows]}
    (RESULTS / "bench.json").write_text(json.dumps(saved, indent=1) + "\n")
    judged = [system.name for system in SYSTEMS if system.judged]
    free = [row for row in rows if row.slots is None and row.system not in judged]
    names = [system.name for system in SYSTEMS if any(r.system == system.name for r in free)]
    (RESULTS / "bench.svg").write_text(picture(free, names, floor_of(free)))
    described = [(system.name, system.describes) for system in SYSTEMS]
    made = section(rows, described, judged, conditions, "../bench/results/bench.svg")
    document = DOCUMENT.read_text() if DOCUMENT.exists() else TITLE
    DOCUMENT.write_text(replaced(document, made))


if __name__ == "__main__":
    sys.exit(main())
