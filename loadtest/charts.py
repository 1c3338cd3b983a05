"""Charts as inline SVG, coloured by the page's style: lines, bars, distributions. Pure.

Without a library: a page that stands alone may load none, and these are straight lines and boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, TypeAlias

Points: TypeAlias = Sequence[tuple[float, float]]

WIDTH: Final = 560
HEIGHT: Final = 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 40, 34
_TICKS = 4
_BINS = 40
_ROW = 26
_LABEL = 96
_FEW = 3.5
"""Counts have whole numbers at their side, however few there are."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line; `colour` is one of the page's: a, b, good, bad, calm."""

    name: str
    points: Points
    colour: str = "a"
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """What all charts have. `limit`: a bound that is drawn, with its name."""

    title: str
    unit: str
    x_unit: str = "s"
    limit: tuple[float, str] | None = None
    note: str = ""


def lines(chart: Chart, series: Sequence[Series], marks: Sequence[float] = ()) -> str:
    """Values over time, or over anything; `marks` are upright lines at some x."""
    points = [point for one in series for point in one.points]
    if not points:
        return _empty(chart)
    grid = _Grid(chart, max(x for x, _ in points), _top(chart, [y for _, y in points]))
    parts = [*grid.drawn(), *_legend(series)]
    for at in marks:
        x = grid.x(at)
        parts.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
    for one in series:
        parts.append(f'<polyline class="line {one.colour}" points="{_path(grid, one)}"/>')
        if len(one.points) <= 30:
            parts += [
                f'<circle class="dot {one.colour}" cx="{grid.x(x)}" cy="{grid.y(y)}" r="3">'
                f"<title>{escape(one.name)}: {_short(y)} {chart.unit}</title></circle>"
                for x, y in one.points
            ]
    return _svg(chart, parts)


def columns(chart: Chart, points: Points, width: float, colour: str = "a") -> str:
    """Counts over time, each for `width` of it from its x on."""
    if not any(y for _, y in points):
        return _empty(chart, "none")
    top = _top(chart, [y for _, y in points], _FEW)
    return _svg(chart, _boxes(_Grid(chart, points[-1][0] + width, top), points, width, colour))


def distribution(chart: Chart, values: Sequence[float], colour: str = "a") -> str:
    """How often which value was measured."""
    if not values:
        return _empty(chart)
    width = _nice(max(max(values), chart.limit[0] if chart.limit else 0.0, 1.0) / _BINS)
    counts = [0] * (int(max(0.0, max(values)) // width) + 1)
    for value in values:
        counts[int(max(0.0, value) // width)] += 1
    points = [(index * width, float(count)) for index, count in enumerate(counts)]
    across = max(len(counts) * width, 1.05 * chart.limit[0] if chart.limit else 0.0)
    upright = Chart(chart.title, "times", chart.unit)
    grid = _Grid(upright, across, _top(upright, [y for _, y in points], _FEW))
    parts = _boxes(grid, points, width, colour)
    if chart.limit is not None:
        x = grid.x(chart.limit[0])
        parts.append(f'<line class="limit" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
    return _svg(chart, parts)


def ranges(chart: Chart, rows: Sequence[tuple[str, float, float]]) -> str:
    """For each name p50 as a bar and p95 as a thin one behind it."""
    if not rows:
        return _empty(chart)
    height = _TOP + _ROW * len(rows) + 8
    across = WIDTH - _LABEL - 110
    most = max(high for _, _, high in rows) or 1.0
    parts: list[str] = []
    for index, (name, middle, high) in enumerate(rows):
        y = _TOP + _ROW * index
        parts.append(
            f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="box soft" x="{_LABEL}" y="{y + 6}" height="8" '
            f'width="{max(1.0, across * high / most):.1f}"/>'
            f'<rect class="box a" x="{_LABEL}" y="{y + 2}" height="16" '
            f'width="{max(1.0, across * middle / most):.1f}"/>'
            f'<text class="value" x="{_LABEL + across * high / most + 8:.1f}" y="{y + 14}">'
            f"{_short(middle)} · {_short(high)} {chart.unit}</text>"
        )
    return _svg(chart, parts, height)


class _Grid:
    """The frame of a chart: where values are, and the lines behind them."""

    def __init__(self, chart: Chart, across: float, top: float) -> None:
        self._chart = chart
        self._across = across or 1.0
        self._top = top

    def x(self, value: float) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * value / self._across, 1)

    def y(self, value: float) -> float:
        inside = HEIGHT - _TOP - _BOTTOM
        return round(HEIGHT - _BOTTOM - inside * min(max(value, 0.0), self._top) / self._top, 1)

    def drawn(self) -> list[str]:
        parts: list[str] = []
        for tick in range(_TICKS + 1):
            value = self._top * tick / _TICKS
            y = self.y(value)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
                f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{_short(value)}</text>'
            )
        step = _nice(self._across / 6)
        for index in range(int(self._across // step) + 1):
            parts.append(
                f'<text x="{self.x(index * step)}" y="{HEIGHT - _BOTTOM + 18}" '
                f'text-anchor="middle">{_short(index * step)}</text>'
            )
        parts.append(
            f'<text class="unit" x="{WIDTH - _RIGHT}" y="{HEIGHT - 3}" text-anchor="end">'
            f"{escape(self._chart.x_unit)}</text>"
        )
        if self._chart.limit is not None and self._chart.limit[0] <= self._top:
            y = self.y(self._chart.limit[0])
            parts.append(
                f'<line class="limit" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}">'
                f"<title>{escape(self._chart.limit[1])}</title></line>"
            )
        return parts


def _boxes(grid: _Grid, points: Points, width: float, colour: str) -> list[str]:
    parts = grid.drawn()
    floor = grid.y(0.0)
    for x, y in points:
        if y > 0:
            left, top = grid.x(x), grid.y(y)
            wide = max(1.0, grid.x(x + width) - left - 1)
            parts.append(
                f'<rect class="box {colour}" x="{left}" y="{top}" width="{wide:.1f}" '
                f'height="{floor - top:.1f}"><title>{_short(y)}</title></rect>'
            )
    return parts


def _path(grid: _Grid, series: Series) -> str:
    path: list[str] = []
    last: float | None = None
    for x, y in series.points:
        if series.steps and last is not None:
            path.append(f"{grid.x(x)},{grid.y(last)}")
        path.append(f"{grid.x(x)},{grid.y(y)}")
        last = y
    return " ".join(path)


def _legend(series: Sequence[Series]) -> list[str]:
    named = [one for one in series if one.name]
    return [
        f'<rect class="box {one.colour}" x="{WIDTH - 90 * (len(named) - index)}" y="13" '
        'width="12" height="4"/>'
        f'<text x="{WIDTH - 90 * (len(named) - index) + 17}" y="19">{escape(one.name)}</text>'
        for index, one in enumerate(named)
    ]


def _svg(chart: Chart, parts: Sequence[str], height: int = HEIGHT) -> str:
    unit = f' <tspan class="unit">{escape(chart.unit)}</tspan>' if chart.unit else ""
    note = f"<figcaption>{escape(chart.note)}</figcaption>" if chart.note else ""
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(chart.title)}">'
        f'<text class="title" x="4" y="19">{escape(chart.title)}{unit}</text>'
        f"{''.join(parts)}</svg>{note}</figure>"
    )


def _empty(chart: Chart, why: str = "not measured") -> str:
    text = f'<text class="unit" x="{WIDTH / 2}" y="62" text-anchor="middle">{why}</text>'
    return _svg(chart, [text], 100)


def _top(chart: Chart, values: Sequence[float], least: float = 1.0) -> float:
    """The upper end: a round figure; the limit is in sight unless it is far above."""
    most = max(*values, least)
    if chart.limit is not None and chart.limit[0] < 3 * most:
        most = max(most, chart.limit[0])
    return _TICKS * _nice(most * 1.05 / _TICKS)


def _nice(step: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(max(step, 1e-9)))
    return next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= step * 0.999)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
