"""Service level objectives: a file of bounds, and whether figures keep within them. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

from loadtest.figures import Figures, Spread, Step

Bound: TypeAlias = Literal["at_most", "at_least"]

KNEE: Final = "knee_calls"
_SPREADS: Final = ("first_audio", "typed_first_audio", "flush", "connect", "came_back")
_OWN: Final = ("late", "round_trip")
_SHARES: Final = ("p50", "p95", "p99")
_SECTIONS: Final = ("always", "steady", "ramp")


class BadObjectives(ValueError):
    """A file of objectives that cannot be used. The text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A bound of one figure."""

    figure: str
    bound: Bound
    value: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an objective comes to. `measured` None: nothing was, and so it is not kept."""

    objective: Objective
    measured: float | None

    @property
    def kept(self) -> bool:
        """Whether the figure is within its bound."""
        if self.measured is None:
            return False
        if self.objective.bound == "at_most":
            return self.measured <= self.objective.value
        return self.measured >= self.objective.value

    @property
    def line(self) -> str:
        """For a terminal."""
        measured = "not measured" if self.measured is None else f"{self.measured:.6g}"
        bound = self.objective.bound.replace("_", " ")
        return f"{self.objective.figure}: {measured}, {bound} {self.objective.value:g}"


@dataclass(frozen=True, slots=True)
class Objectives:
    """`always`: of every run. `steady`: of a run without a ramp, and of each step of one: the last
    step up to which all are kept is the knee. `ramp`: of a ramp."""

    always: tuple[Objective, ...]
    steady: tuple[Objective, ...]
    ramp: tuple[Objective, ...]

    def verdicts(self, figures: Figures, steps: Sequence[Step]) -> list[Verdict]:
        """Of a run; with steps it was a ramp."""
        values = values_of(figures)
        if not steps:
            return [Verdict(o, values[o.figure]) for o in (*self.always, *self.steady)]
        values[KNEE] = float(self.knee(steps))
        return [Verdict(o, values[o.figure]) for o in (*self.always, *self.ramp)]

    def broken_by(self, figures: Figures) -> list[Verdict]:
        """What a step of a ramp does not keep."""
        values = values_of(figures)
        verdicts = [Verdict(o, values[o.figure]) for o in self.steady]
        return [verdict for verdict in verdicts if not verdict.kept]

    def knee(self, steps: Sequence[Step]) -> int:
        """Most calls at once, from the first step up, with all of `steady` kept."""
        most = 0
        for step in steps:
            if self.broken_by(step.figures):
                return most
            most = step.calls
        return most


def values_of(figures: Figures) -> dict[str, float | None]:
    """The figures that an objective may name."""
    turns = figures.turns or None
    values: dict[str, float | None] = {
        "calls": float(figures.calls),
        "turns": float(figures.turns),
        "leaks": float(figures.leaks),
        "early": float(figures.early),
        "failures": float(sum(figures.failures.values())),
        "unanswered_percent": turns and 100 * figures.unanswered / turns,
        "failures_per_100_turns": turns and 100 * sum(figures.failures.values()) / turns,
        "underruns_per_100_turns": turns and 100 * figures.underruns / turns,
        "calls_per_core": figures.calls_per_core,
        KNEE: None,
    }
    for name in (*_SPREADS, *_OWN):
        spread = cast("Spread | None", getattr(figures, name))
        for share in _SHARES:
            values[f"{name}_{share}_ms"] = getattr(spread, share) if spread else None
    return values


def read_objectives(text: str) -> Objectives:
    """The objectives of a TOML file. Raises BadObjectives."""
    try:
        sections = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadObjectives(f"not TOML: {error}") from error
    if unknown := set(sections) - set(_SECTIONS):
        raise BadObjectives(f"unknown section {min(unknown)!r}: there are {', '.join(_SECTIONS)}")
    return Objectives(*(_section(name, sections.get(name, {})) for name in _SECTIONS))


def _section(name: str, entries: object) -> tuple[Objective, ...]:
    if not isinstance(entries, Mapping):
        raise BadObjectives(f"{name!r} is not a section")
    return tuple(_objective(*entry) for entry in cast("Mapping[str, object]", entries).items())


def _objective(figure: str, bound: object) -> Objective:
    if figure not in _KNOWN:
        raise BadObjectives(f"unknown figure {figure!r}: there are {', '.join(sorted(_KNOWN))}")
    entries = (
        list(cast("Mapping[str, object]", bound).items()) if isinstance(bound, Mapping) else []
    )
    match entries:
        case [("at_most" | "at_least" as kind, int() | float() as value)]:
            return Objective(figure, kind, value)
        case _:
            raise BadObjectives(f"{figure!r} needs {{at_most = …}} or {{at_least = …}}")


_KNOWN = frozenset(
    (
        *("calls", "turns", "leaks", "early", "failures", "unanswered_percent"),
        *("failures_per_100_turns", "underruns_per_100_turns", "calls_per_core", KNEE),
        *(f"{name}_{share}_ms" for name in (*_SPREADS, *_OWN) for share in _SHARES),
    )
)
