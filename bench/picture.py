"""Figures → an SVG: latency and CPU over calls, a line a system. Pure, and without a library:
two plots of straight lines need none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from bench.figures import Figures

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 34, 40
LEGEND = 26
TICKS = 5
COLOURS = ("#555555", "#aaaaaa", "#1b6ca8", "#2aa876", "#7b5ea7", "#d1495b", "#edae49")


@dataclass(frozen=True, slots=True)
class _Plot:
    title: str
    value: Callable[[Figures], float | None]
    top: float | None


def picture(rows: Sequence[Figures], systems: Sequence[str], floor_ms: float) -> str:
    """The SVG. Latency is cut off at four times the floor: a system that collapsed is off it."""
    plots = (
        _Plot("p95 of time to first audio, ms", _p95, 4 * floor_ms),
        _Plot("server CPU, s per call-minute", lambda row: row.cpu, None),
    )
    height = HEIGHT + LEGEND * ((len(systems) + 3) // 4)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for index, plot in enumerate(plots):
        parts += [f'<g transform="translate({index * WIDTH} 0)">']
        parts += [*_drawn(plot, rows, systems), "</g>"]
    return "\n".join([*parts, *_legend(systems), "</svg>"]) + "\n"


def _p95(row: Figures) -> float | None:
    return row.first_audio.p95 if row.first_audio else None


def _drawn(plot: _Plot, rows: Sequence[Figures], systems: Sequence[str]) -> list[str]:
    values = [value for row in rows if (value := plot.value(row)) is not None]
    top = max(values, default=1.0) * 1.1
    top = TICKS * _round_up((min(top, plot.top) if plot.top else top) / TICKS)
    most = max((row.calls for row in rows), default=1)

    def x(calls: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * calls / most

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value, top) / top

    parts = [f'<text x="{LEFT}" y="20" font-weight="bold">{escape(plot.title)}</text>']
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            'stroke="#dddddd"/>'
            f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for calls in sorted({row.calls for row in rows}):
        parts.append(
            f'<text x="{x(calls):.1f}" y="{HEIGHT - BOTTOM + 18}" '
            f'text-anchor="middle">{calls}</text>'
        )
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">calls</text>')
    for index, system in enumerate(systems):
        own = sorted((row for row in rows if row.system == system), key=lambda row: row.calls)
        points = [(x(row.calls), y(value)) for row in own if (value := plot.value(row)) is not None]
        parts += _line(points, COLOURS[index % len(COLOURS)])
    return parts


def _round_up(step: float) -> float:
    """To the next 1, 2, 3, 4 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(step))
    return next(nice * power for nice in (1, 2, 3, 4, 5, 10) if nice * power >= step)


def _line(points: Sequence[tuple[float, float]], colour: str) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]


def _legend(systems: Sequence[str]) -> list[str]:
    parts: list[str] = []
    for index, system in enumerate(systems):
        x, y = LEFT + index % 4 * 210, HEIGHT + 16 + index // 4 * LEGEND
        colour = COLOURS[index % len(COLOURS)]
        parts.append(
            f'<rect x="{x}" y="{y - 10}" width="18" height="4" fill="{colour}"/>'
            f'<text x="{x + 24}" y="{y}">{escape(system)}</text>'
        )
    return parts
