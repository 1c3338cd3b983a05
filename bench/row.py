"""A row: so many calls at once against one running system, and what they cost it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bench.caller import Call, Caller, Script, spread
from bench.plan import turns_of
from bench.process_tree import Parts, Snapshot, cpu_between, memory, snapshot

SPREAD_S = 5.0
"""The calls begin within this time, so that they do not all speak at once."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured. CPU in s and memory in MB, by part of the system."""

    calls: list[Call]
    cpu_s: Parts
    memory_before_mb: Parts
    memory_after_mb: Parts


async def measure(url: str, root: int, script: Script, calls: int) -> Row:
    """Run `calls` calls against the system whose process tree has this root."""
    callers = [
        Caller(
            url, script, turns_of(number, calls, len(script.due)), spread(number, calls, SPREAD_S)
        )
        for number in range(calls)
    ]
    before = await _snapshot(root)
    async with asyncio.TaskGroup() as tasks:
        for caller in callers:
            tasks.create_task(caller.run())
    after = await _snapshot(root)
    return Row(
        [caller.call for caller in callers],
        cpu_between(before, after),
        memory(before),
        memory(after),
    )


async def warm_up(url: str, script: Script) -> None:
    """One call of two turns: whatever is loaded late is loaded."""
    await Caller(url, script, [0, 1], 0.0).run()


async def _snapshot(root: int) -> Snapshot:
    return await asyncio.to_thread(snapshot, root)
