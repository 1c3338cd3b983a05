"""The report: one HTML page that stands alone, with no script and no request to anywhere. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from typing import Final

from loadtest.charts import Chart, Series, columns, distribution, lines, ranges
from loadtest.figures import (
    Figures,
    Spread,
    Step,
    began_at,
    calls_over_time,
    figures_of,
    percentile,
    steps_of,
)
from loadtest.records import (
    BargeIn,
    Failure,
    Leak,
    Record,
    Second,
    StepBegan,
    TurnEnded,
)
from loadtest.slo import Objectives, Verdict

_POINTS: Final = 60
"""About so many points a line has, however long the run was."""
_STAGES: Final = ("pause", "stt", "llm", "tts", "pipeline")
_NAMES: Final = {"pause": "end of turn", "stt": "STT", "llm": "LLM", "tts": "TTS"}


def page(records: Sequence[Record], objectives: Objectives, url: str) -> str:
    """The page of a run, or of what there is of it by now."""
    figures, steps = figures_of(records), steps_of(records)
    verdicts = objectives.verdicts(figures, steps)
    style = files("loadtest").joinpath("page.css").read_text()
    body = [
        _head(records, figures, verdicts, url),
        _tiles(figures, objectives.knee(steps) if steps else None),
        _ramp(steps, objectives) if steps else "",
        f'<section class="charts">{"".join(_charts(records, figures, objectives))}</section>',
        '<div class="tables">',
        _objectives(verdicts),
        _failures(records),
        _lines(figures),
        "</div>",
        _EXPLAINED,
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Parley load test</title><style>{style}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _head(
    records: Sequence[Record], figures: Figures, verdicts: Sequence[Verdict], url: str
) -> str:
    began = began_at(records)
    seconds = max((record.at for record in records), default=began) - began
    when = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d %H:%M UTC")
    broken = [verdict for verdict in verdicts if not verdict.kept]
    kept = "All objectives kept" if not broken else "Not kept: " + "; ".join(v.line for v in broken)
    return (
        f'<header><h1>Load test</h1><p class="verdict {"bad" if broken else "good"}">'
        f"{escape(kept)}</p><p>{escape(url)} · {when} · {seconds:.0f} s · {figures.calls} calls, "
        f"at most {figures.most_calls} at once · {figures.turns} turns in "
        f"{figures.call_minutes:.1f} call-minutes</p></header>"
    )


def _tiles(figures: Figures, knee: int | None) -> str:
    failures = sum(figures.failures.values())
    tiles = [
        ("first audio, p50", _ms(figures.first_audio, "p50"), ""),
        ("first audio, p95", _ms(figures.first_audio, "p95"), ""),
        ("barge-in to flush, p95", _ms(figures.flush, "p95"), ""),
        ("back after a cut, p95", _ms(figures.came_back, "p95"), ""),
        ("underruns", str(figures.underruns), "warn" if figures.underruns else ""),
        ("replies too early", str(figures.early), "bad" if figures.early else ""),
        ("cross-call leaks", str(figures.leaks), "bad" if figures.leaks else "good"),
        ("failures", str(failures), "bad" if failures else "good"),
        ("calls a core", _one(figures.calls_per_core), ""),
    ]
    if knee is not None:
        tiles.insert(0, ("knee", f"{knee} calls", ""))
    return '<section class="tiles">{}</section>'.format(
        "".join(
            f'<div class="tile {kind}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
            for name, value, kind in tiles
        )
    )


def _ramp(steps: Sequence[Step], objectives: Objectives) -> str:
    limit = _limit(objectives, "first_audio_p95_ms")

    def over(value: Callable[[Figures], float | None]) -> list[tuple[float, float]]:
        return [(float(s.calls), v) for s in steps if (v := value(s.figures)) is not None]

    chart = lines(
        Chart("First audio by calls at once", "ms", "calls", limit),
        [
            Series("p50", over(lambda f: f.first_audio and f.first_audio.p50), "calm"),
            Series("p95", over(lambda f: f.first_audio and f.first_audio.p95), "a"),
        ],
        [float(objectives.knee(steps))],
    )
    cores = lines(
        Chart("Calls a core of the server's", "calls", "calls"),
        [Series("", over(lambda f: f.calls_per_core), "good")],
    )
    rows = [
        (
            str(step.calls),
            _ms(step.figures.first_audio, "p95"),
            _ms(step.figures.flush, "p95"),
            str(step.figures.underruns),
            str(sum(step.figures.failures.values())),
            _one(step.figures.calls_per_core),
            "; ".join(v.line for v in objectives.broken_by(step.figures)) or "holds",
        )
        for step in steps
    ]
    head = ("calls", "first audio p95", "flush p95", "underruns", "failures", "calls a core", "")
    return f'<section class="charts">{chart}{cores}</section>{_table("Steps", head, rows)}'


def _charts(records: Sequence[Record], figures: Figures, objectives: Objectives) -> Iterable[str]:
    began = began_at(records)
    end = max((record.at for record in records), default=began) - began
    bucket = max(1.0, math.ceil(end / _POINTS))
    turns = [record for record in records if isinstance(record, TurnEnded)]
    spoken = [
        (turn.at - began, turn.first_audio_ms)
        for turn in turns
        if turn.first_audio_ms is not None and turn.kind != "typed"
    ]
    steps = [record.at - began for record in records if isinstance(record, StepBegan)]
    limit = _limit(objectives, "first_audio_p95_ms")
    wide = max(bucket, 5.0)
    yield lines(
        Chart("Time to first audio", "ms", limit=limit, note="Spoken turns, from the last sound."),
        [
            Series("p50", _bucketed(spoken, wide, 50), "calm"),
            Series("p95", _bucketed(spoken, wide, 95), "a"),
        ],
        steps,
    )
    yield distribution(Chart("First audio, how often", "ms", limit=limit), [ms for _, ms in spoken])
    yield lines(
        Chart("Calls at once", "calls"),
        [Series("", [(at - began, n) for at, n in calls_over_time(records, bucket)], steps=True)],
        steps,
    )
    yield ranges(
        Chart("Where the time goes", "ms", note="What the server says of each turn: p50 · p95."),
        [
            (_NAMES.get(stage, stage), figures.stages[stage].p50, figures.stages[stage].p95)
            for stage in _STAGES
            if stage in figures.stages
        ],
    )
    flushes = [r.flush_ms for r in records if isinstance(r, BargeIn) and r.flush_ms is not None]
    yield distribution(
        Chart("Barge-in: first sound to flush", "ms", limit=_limit(objectives, "flush_p95_ms")),
        flushes,
        "b",
    )
    yield columns(
        Chart("Underruns", "gaps", note="Of a player that holds 80 ms."),
        _counted(((turn.at - began, turn.underruns) for turn in turns), wide),
        wide,
        "b",
    )
    failed = [(r.at - began, 1) for r in records if isinstance(r, Failure | Leak)]
    early = [(turn.at - began, 1) for turn in turns if turn.early]
    yield columns(
        Chart("Failures, leaks, replies too early", "", note="By class below."),
        _counted([*failed, *early], wide),
        wide,
        "bad",
    )
    seconds = [record for record in records if isinstance(record, Second)]
    late = [(s.at - began, ms) for s in seconds for ms in s.late_ms]
    trips = [(s.at - began, ms) for s in seconds for ms in s.round_trips_ms]
    yield lines(
        Chart(
            "Event loops, p95",
            "ms",
            note="callers: how late their own loop was, which adds to every time here. ping: a "
            "round trip to the loop that holds the call.",
        ),
        [
            Series("callers", _bucketed(late, wide, 95), "calm"),
            Series("ping", _bucketed(trips, wide, 95), "b"),
        ],
        steps,
    )


def _bucketed(
    points: Iterable[tuple[float, float]], width: float, percent: float
) -> list[tuple[float, float]]:
    """A percentile of the values in each stretch of time, at its middle."""
    buckets: dict[int, list[float]] = {}
    for at, value in points:
        buckets.setdefault(int(at // width), []).append(value)
    return [
        ((index + 0.5) * width, percentile(sorted(values), percent))
        for index, values in sorted(buckets.items())
    ]


def _counted(points: Iterable[tuple[float, int]], width: float) -> list[tuple[float, float]]:
    counts: Counter[int] = Counter()
    for at, count in points:
        counts[int(at // width)] += count
    return [(index * width, float(count)) for index, count in sorted(counts.items())]


def _objectives(verdicts: Sequence[Verdict]) -> str:
    rows = [
        (
            "✓" if verdict.kept else "✗",
            verdict.objective.figure,
            "not measured" if verdict.measured is None else f"{verdict.measured:.6g}",
            f"{verdict.objective.bound.replace('_', ' ')} {verdict.objective.value:g}",
        )
        for verdict in verdicts
    ]
    return _table("Objectives", ("", "figure", "measured", "bound"), rows)


def _failures(records: Sequence[Record]) -> str:
    kinds: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for record in records:
        if isinstance(record, Failure | Leak):
            kind = "leak" if isinstance(record, Leak) else record.kind
            kinds[kind] += 1
            examples.setdefault(kind, f"call {record.call}, {record.line}: {record.what}")
    rows = [(kind, str(count), examples[kind]) for kind, count in kinds.most_common()]
    return _table("Failures by class", ("class", "times", "the first"), rows or [("none", "0", "")])


def _lines(figures: Figures) -> str:
    rows = [
        (name, str(spread.count), f"{spread.p50:.0f}", f"{spread.p95:.0f}")
        for name, spread in figures.lines.items()
    ]
    return _table("First audio by codec", ("up, back", "turns", "p50 ms", "p95 ms"), rows)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines_ = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f"<section><h2>{escape(title)}</h2><table><thead><tr>{cells}</tr></thead>"
        f"<tbody>{lines_}</tbody></table></section>"
    )


def _limit(objectives: Objectives, figure: str) -> tuple[float, str] | None:
    return next(
        (
            (o.value, f"{figure} at most {o.value:g}")
            for o in objectives.steady
            if o.figure == figure
        ),
        None,
    )


def _ms(spread: Spread | None, share: str) -> str:
    return f"{getattr(spread, share):.0f} ms" if spread else "–"


def _one(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


_EXPLAINED = """<footer><p><b>First audio</b>: from the caller's last sound to the first that a
listener notices, network and pause included; it is early if it sounds before the caller has ended.
<b>Barge-in</b>: from the first sound over a reply until the server says to drop it. <b>Leak</b>:
another caller's word, tone or voice in this call. <b>Calls a core</b>: of the server's CPU, where
it runs on this machine. Dashed: the bound in the file of objectives.</p></footer>"""
