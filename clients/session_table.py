"""Where the time of a call went: STT, LLM, TTS, pipeline, network and end-to-end. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from clients.events import Timings


@dataclass
class Measurements:
    """What was measured in a call, in ms.

    `end_to_end_ms`: the last voiced sample of a turn was sent → the first audible sample of the
    answer plays.
    """

    timings: list[Timings] = field(default_factory=list[Timings])
    round_trips_ms: list[float] = field(default_factory=list[float])
    end_to_end_ms: list[float] = field(default_factory=list[float])


def session_table(measured: Measurements) -> str:
    """The table, one row a stage: average, least and most in ms, and of how many."""
    timings = measured.timings
    rows = [
        _row("STT", (one.stt_ms for one in timings)),
        _row("LLM", (one.llm_ms for one in timings)),
        _row("TTS", (one.tts_ms for one in timings)),
        _row("pipeline", (one.pipeline_ms for one in timings)),
        _row("network", measured.round_trips_ms),
        _row("end-to-end", measured.end_to_end_ms),
    ]
    return "\n".join([f"{'ms':<10}  {'avg':>8}  {'min':>8}  {'max':>8}  {'n':>4}", *rows])


def _row(name: str, values_ms: Iterable[float]) -> str:
    values = list(values_ms)
    if not values:
        return f"{name:<10}  {'-':>8}  {'-':>8}  {'-':>8}  {0:>4}"
    average = sum(values) / len(values)
    return (
        f"{name:<10}  {average:>8.1f}  {min(values):>8.1f}  {max(values):>8.1f}  {len(values):>4}"
    )
