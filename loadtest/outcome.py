"""What came of a run: its records, the page made of them, and the exit status."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from loadtest.figures import Spread, figures_of, steps_of
from loadtest.page import page
from loadtest.records import Record, to_line
from loadtest.slo import Objectives, Verdict


@dataclass(slots=True)
class Outcome:
    """Of one run."""

    objectives: Objectives
    records: list[Record] = field(default_factory=list[Record])

    def last_step_holds(self) -> bool:
        """Whether the step of a ramp that is under way keeps its objectives."""
        steps = steps_of(self.records)
        return not steps or not self.objectives.broken_by(steps[-1].figures)

    def verdicts(self) -> list[Verdict]:
        """Of all objectives that the run has."""
        return self.objectives.verdicts(figures_of(self.records), steps_of(self.records))

    def page(self, url: str) -> str:
        """The HTML page."""
        return page(self.records, self.objectives, url)

    def lines(self) -> str:
        """The records, for other tools."""
        return "".join(f"{to_line(record)}\n" for record in self.records)

    @property
    def exit_status(self) -> int:
        """0, or 1 if an objective was not kept."""
        return 0 if all(verdict.kept for verdict in self.verdicts()) else 1

    def print_summary(self, path: str) -> None:
        """Say on the terminal what came out, and in a line each which objective was not kept."""
        figures, steps = figures_of(self.records), steps_of(self.records)
        parts = [
            f"{figures.calls} calls, {figures.most_calls} at once, {figures.turns} turns",
            f"first audio {_ms(figures.first_audio)}",
            f"barge-in flush {_ms(figures.flush)}",
            f"{figures.underruns} underruns, {figures.early} early, {figures.leaks} leaks, "
            f"{sum(figures.failures.values())} failures",
        ]
        if figures.calls_per_core is not None:
            parts.append(f"{figures.calls_per_core:.1f} calls a core")
        if steps:
            parts.append(f"the knee is at {self.objectives.knee(steps)} calls")
        print(f"loadtest: {'; '.join(parts)}\nloadtest: the report is {path}", flush=True)
        for verdict in self.verdicts():
            if not verdict.kept:
                print(f"loadtest: SLO not kept: {verdict.line}", file=sys.stderr, flush=True)


def _ms(spread: Spread | None) -> str:
    return f"p50 {spread.p50:.0f} p95 {spread.p95:.0f} ms" if spread else "not measured"
