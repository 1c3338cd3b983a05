"""What `make bench` measured of Parley: the CPU and the memory of a call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figures, from_json, holds
from bench.report import floor_of

RESULTS = Path(__file__).resolve().parents[1] / "results" / "bench.json"
SYSTEM = "parley-reply"
"""Behind HAProxy, with speculation, as `serve_config.yaml` runs."""
PARTS = ("ingress", "stt", "llm", "tts", "proxy")
"""What works for calls, and grows with them. The stages' models are not in it: they are timed."""


class NotMeasured(LookupError):
    """The results have no row that can be reckoned with."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of the row with the most calls that held.

    `cpu_s`: CPU seconds a call-minute by part. `call_mb`: what a call adds to the whole process
    tree, from the row with the fewest calls to this one, in MB.
    """

    system: str
    calls: int
    conditions: str
    cpu_s: dict[str, float]
    call_mb: float

    @property
    def cores_a_call(self) -> float:
        """Of all parts that grow with the calls."""
        return sum(self.cpu_s[part] for part in PARTS) / 60


def read(path: Path = RESULTS) -> Measured:
    """What the bench wrote. Raises NotMeasured."""
    saved: dict[str, Any] = json.loads(path.read_text())
    rows = [from_json(entry) for entry in saved["rows"]]
    return measured(rows, saved["conditions"])


def measured(rows: Sequence[Figures], conditions: str, system: str = SYSTEM) -> Measured:
    """Of one system's rows. Raises NotMeasured where fewer than two of them held."""
    held = _held(rows, system)
    if len(held) < 2:
        raise NotMeasured(f"two rows of {system} must have held, not {len(held)}")
    fewest, most = held[0], held[-1]
    if missing := set(PARTS) - set(most.cpu_by_part):
        raise NotMeasured(f"{system} has no CPU of {', '.join(sorted(missing))}")
    added_mb = most.memory_after_mb - fewest.memory_after_mb
    return Measured(
        system=system,
        calls=most.calls,
        conditions=conditions,
        cpu_s={part: most.cpu_by_part[part] for part in PARTS},
        call_mb=added_mb / (most.calls - fewest.calls),
    )


def _held(rows: Iterable[Figures], system: str) -> list[Figures]:
    listed = list(rows)
    floor_ms = floor_of(listed)
    ours = [row for row in listed if row.system == system and row.slots is None]
    return sorted((row for row in ours if holds(row, floor_ms)), key=lambda row: row.calls)
