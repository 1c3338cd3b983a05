"""Where the ingress spends its time: `python -m bench.profile_ingress` prints a table.

py-spy (it comes with Ray) samples the ingress replica while calls run against it. A sample
belongs to the part whose code is nearest to where the thread was; threads that wait, or run the
event loop's and gRPC's own C code, give none, so what is left of the process's CPU time is theirs.
Needs the right to trace another process: on most systems that is root's.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import uvloop

from bench.caller import Script
from bench.clip import make_clip
from bench.process_tree import snapshot
from bench.row import measure, warm_up
from bench.systems import SYSTEMS, NotReady, Running, running
from bench.yardstick import decisions_due

PY_SPY = Path(sys.executable).with_name("py-spy")
RATE = 250
"""Samples a second."""
SETTLE_S = 8.0
"""Calls begin within 5 s: sampled is what comes after."""
ALIGNMENTS = 2
FOR_S = 25

PARTS = (
    ("voice detection", ("onnxruntime/", "audio/vad.py")),
    ("echo guard", ("audio/echo.py",)),
    ("resampling", ("audio/resample.py",)),
    ("framing", ("audio/uplink.py", "audio/recent.py")),
    ("dialect", ("serve_app/dialects/",)),
    ("pacing", ("serve_app/reply.py", "conversation/playout.py", "audio/downlink.py")),
    ("decisions, text", ("serve_app/conversation/", "serve_app/metrics.py", "ray/util/metrics")),
    ("handles", ("serve_app/hop.py", "serve_app/stages.py", "grpc/", "_private/re", "_private/ro")),
    ("call loop", ("serve_app/call.py",)),
    ("socket", ("uvicorn/", "websockets/", "starlette/", "ingress_http", "websocket.py", "outbox")),
)
"""By what a frame's file contains; the frame nearest to the leaf that is of a part names it."""
WAITING = ("Thread.run ", "Worker.main_loop ", "Condition.wait ", "_worker ", "EpollSelector")


def part_of(stack: str) -> str | None:
    """The part that a folded stack belongs to; None where the thread waited or ran no Python."""
    frames = stack.split(";")
    if not frames[-1] or frames[-1].startswith(WAITING):
        return None
    for frame in reversed(frames):
        for part, files in PARTS:
            if any(file in frame for file in files):
                return part
    return "other"


def samples_by_part(folded: Iterable[str]) -> Counter[str]:
    """Samples of py-spy's `raw` lines (`frame;frame;frame count`) by part."""
    counts: Counter[str] = Counter()
    for line in folded:
        stack, _, count = line.rstrip().rpartition(" ")
        if part := part_of(stack):
            counts[part] += int(count)
    return counts


async def _profile(calls: int) -> None:
    clip = make_clip()
    script = Script(clip, decisions_due(clip, ALIGNMENTS))
    [parley] = [system for system in SYSTEMS if system.name == "parley"]
    async with running(parley, None, Path(sys.executable)) as server:
        await warm_up(server.url, script)
        row, counts = await asyncio.gather(
            measure(server.url, server.root, script, calls), _sample(server)
        )
    minutes = sum(call.seconds for call in row.calls) / 60
    parts = {part: n / RATE / FOR_S * 60 / calls for part, n in counts.most_common()}
    whole = row.cpu_s["ingress"] / minutes
    print(f"| part, at {calls} calls | CPU s / call-min |\n| --- | --: |")
    for part, spent in [*parts.items(), ("outside Python", whole - sum(parts.values()))]:
        print(f"| {part} | {spent:.2f} |")
    print(f"| all | {whole:.2f} |")


async def _sample(server: Running) -> Counter[str]:
    await asyncio.sleep(SETTLE_S)
    tree = await asyncio.to_thread(snapshot, server.root)
    [(pid, _)] = [key for key, process in tree.items() if process.part == "ingress"]
    with tempfile.TemporaryDirectory(prefix="profile-") as directory:
        folded = Path(directory) / "folded"
        options = ["-r", str(RATE), "-d", str(FOR_S), "-f", "raw", "-o", str(folded)]
        recorder = await asyncio.create_subprocess_exec(
            str(PY_SPY), "record", "--nonblocking", "-p", str(pid), *options, stdout=-3, stderr=-3
        )
        if await recorder.wait():
            raise NotReady("py-spy could not sample the ingress: may it trace processes?")
        return samples_by_part(folded.read_text().splitlines())


def main() -> int:
    """0, or 1 where the system could not be started or sampled."""
    parser = argparse.ArgumentParser(prog="bench.profile_ingress")
    parser.add_argument("--calls", type=int, default=8)
    try:
        uvloop.run(_profile(parser.parse_args().calls))
    except NotReady as error:
        print(f"profile: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
