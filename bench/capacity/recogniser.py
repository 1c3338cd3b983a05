"""How long a final transcript waits at one recogniser: windows in virtual time.

Finals go first and partials wait at most one a call: the newer replaces the older, as
`deployments/coalesce.py` does. A window that runs is never interrupted.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator

from bench.capacity import search
from bench.capacity.assumptions import REPLY_S, SPEAKS_S, THINKS_S

PARTIAL_EVERY_S = 0.5


def asked_for(
    calls: int, seconds: float, seed: int, partials: bool
) -> list[tuple[float, int, bool]]:
    """When each window is asked for, by which call, and whether it is a final; in order."""
    windows: list[tuple[float, int, bool]] = []
    for call in range(calls):
        chance = random.Random(f"{seed}/{call}")
        now = chance.uniform(0.0, 12.0)
        while now < seconds:
            speaks_s = chance.uniform(*SPEAKS_S)
            if partials:
                times = _every(PARTIAL_EVERY_S, speaks_s)
                windows += [(now + at, call, False) for at in times]
            now += speaks_s
            windows.append((now, call, True))
            now += 1.0 + chance.uniform(0.3, 1.7) * REPLY_S + chance.uniform(*THINKS_S)
    return sorted(windows)


def _every(step_s: float, until_s: float) -> Iterator[float]:
    yield from (step_s * n for n in range(1, int(until_s / step_s) + 1))


def final_wait_p95_ms(
    calls: int, window_s: float, seconds: float = 1_800.0, seed: int = 0, partials: bool = True
) -> float:
    """What 95 % of the finals wait at most before they are decoded, in ms.

    Raises ValueError where nothing is asked for, or a window takes no time.
    """
    if calls < 1 or window_s <= 0 or seconds < 60:
        raise ValueError("calls and window_s must be above 0, and a minute be played")
    finals: list[tuple[float, int]] = []
    waiting: dict[int, float] = {}
    waits: list[float] = []
    free_at = 0.0

    def work(until: float) -> None:
        """Decode what waits and can begin before then."""
        nonlocal free_at
        while free_at <= until and (finals or waiting):
            if finals:
                asked_at, call = heapq.heappop(finals)
                waits.append(max(0.0, free_at - asked_at))
            else:
                call = min(waiting, key=waiting.__getitem__)
                asked_at = waiting.pop(call)
            free_at = max(free_at, asked_at) + window_s

    for at, call, final in asked_for(calls, seconds, seed, partials):
        work(at)
        free_at = max(free_at, at) if not (finals or waiting) else free_at
        if final:
            waiting.pop(call, None)
            heapq.heappush(finals, (at, call))
        else:
            waiting[call] = at
    work(seconds)
    waits.sort()
    return waits[len(waits) * 95 // 100] * 1000


def most_calls(window_s: float, wait_ms: float, partials: bool, seconds: float = 1_800.0) -> int:
    """The most calls whose finals wait no longer than that at p95; 0: not even one's do."""
    return search.most_calls(
        lambda calls: final_wait_p95_ms(calls, window_s, seconds, partials=partials) <= wait_ms, 8
    )
