"""Figures → the part of docs/performance.md that the bench writes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias

from bench.figures import Difference, Figures, knee, paired
from bench.plan import ENDPOINT_MS, NOMINAL_MS
from bench.process_tree import RAY_PARTS

BEGIN = "<!-- bench: written by `make bench`; do not edit below -->"
END = "<!-- bench: end -->"

Cell: TypeAlias = Callable[[Figures], str]

FLOORS = ("control", "control-early")
PEER = "pipecat"


def replaced(document: str, section: str, begin: str = BEGIN, end: str = END) -> str:
    """The document with a section in place of what its marks hold, or at the end."""
    marked = f"{begin}\n\n{section.strip()}\n\n{end}"
    before, begun, rest = document.partition(begin)
    _, ended, after = rest.partition(end)
    if begun and ended:
        return before + marked + after
    return f"{document.rstrip()}\n\n{marked}\n" if document.strip() else f"{marked}\n"


def section(
    rows: Sequence[Figures],
    described: Sequence[tuple[str, str]],
    judged: Sequence[str],
    conditions: str,
    picture: str,
) -> str:
    """The bench's section, as Markdown. `picture`: the path of the SVG from the document.

    `judged`: the systems that judge a pause by its sound, in a table of their own.
    """
    free = [row for row in rows if row.slots is None and row.system not in judged]
    by_sound = [row for row in rows if row.system in judged]
    limited = [row for row in rows if row.slots is not None]
    names = [name for name, _ in described if any(row.system == name for row in rows)]
    parts = [
        "## Against the floor and a peer",
        conditions,
        "\n".join(f"- `{name}`: {about}" for name, about in described if name in names),
        _METHOD,
        f"![Latency and CPU over calls]({picture})",
        "### Time to first audio, ms",
        _latency(free, names),
        "### What a call costs",
        _cost(free, names),
        "### CPU by part, s per call-minute",
        _parts(free, names),
        "### Barge-in, ms after the decision was due",
        _interruptions(free, names),
    ]
    if limited:
        parts += ["### A voice with two slots", _latency(limited, names)]
    if by_sound:
        parts += ["### Every pause judged by its sound", _JUDGED, _judgements(by_sound, names)]
    parts += ["### Ratios", _ratios(free, [name for name in names if name not in judged])]
    return "\n\n".join(part for part in parts if part)


_METHOD = f"""\
A caller sends 20 ms frames in real time, all the while; its clip is moved over the grid of the
20 ms and 32 ms frames in equal steps, the same ones for every system, so differences are paired:
mean and 95 % interval over the steps. First audio counts from the last audible sample of the clip
to the first audible sample of the reply; the pause is six frames of Silero, {ENDPOINT_MS} ms
(what pipecat makes of 0.2 s); the stages take {NOMINAL_MS} ms from there when nothing overlaps.
*Early*: replies heard before the end of the turn was due. *Underruns*: gaps of a player with
80 ms in its buffer. Turns go in pairs, and the second interrupts the reply to the first. A
system's rows end once two in a row were not clean (p95 within twice the floor, no gap, no loss).
*Ping p95*: the round trip of a WebSocket ping, which waits for the event loop that holds the
socket. CPU is that of the whole process tree, idle processes of Ray included; memory is
proportional set size over the tree, before and after the row."""


def _latency(rows: Sequence[Figures], names: Sequence[str]) -> str:
    def difference(floor: str) -> Cell:
        return lambda row: _plus_minus(_against(rows, row, floor))

    columns: list[tuple[str, Cell]] = [
        ("mean", lambda row: _number(row.first_audio and row.first_audio.mean)),
        ("p50", lambda row: _number(row.first_audio and row.first_audio.p50)),
        ("p95", lambda row: _number(row.first_audio and row.first_audio.p95)),
        ("p99", lambda row: _number(row.first_audio and row.first_audio.p99)),
        *((f"over `{floor}`", difference(floor)) for floor in FLOORS if floor in names),
        ("from end of turn", lambda row: _number(row.after_end_of_turn_ms)),
        ("STT", lambda row: _number(row.stage_excess_ms.get("stt_ms"))),
        ("LLM", lambda row: _number(row.stage_excess_ms.get("llm_ms"))),
        ("TTS", lambda row: _number(row.stage_excess_ms.get("tts_ms"))),
        ("unanswered", lambda row: str(row.unanswered)),
        ("early", lambda row: str(row.too_early)),
        ("underruns", lambda row: str(row.underruns)),
    ]
    note = "STT, LLM, TTS: what the system itself measured of each stage, over what it takes."
    return _table(rows, names, columns) + f"\n\n{note}"


_JUDGED = """\
Smart Turn decides beside the pause: Parley's way of using it, and the peer's default. The clip is a
synthetic voice, which the network was not made for: this compares what is done with a verdict, not
the verdicts."""


def _judgements(rows: Sequence[Figures], names: Sequence[str]) -> str:
    return _table(
        rows,
        names,
        [
            ("mean", lambda row: _number(row.first_audio and row.first_audio.mean)),
            ("p50", lambda row: _number(row.first_audio and row.first_audio.p50)),
            ("p95", lambda row: _number(row.first_audio and row.first_audio.p95)),
            ("unanswered", lambda row: str(row.unanswered)),
            ("early", lambda row: str(row.too_early)),
            ("underruns", lambda row: str(row.underruns)),
            ("CPU s / call-min", lambda row: f"{row.cpu:.2f}"),
        ],
    )


def _cost(rows: Sequence[Figures], names: Sequence[str]) -> str:
    return _table(
        rows,
        names,
        [
            ("CPU s / call-min", lambda row: f"{row.cpu:.2f}"),
            ("without Ray's own", lambda row: f"{row.cpu_without_ray:.2f}"),
            ("memory before, MB", lambda row: _number(row.memory_before_mb)),
            ("after, MB", lambda row: _number(row.memory_after_mb)),
            ("ping p95, ms", lambda row: _number(row.ping and row.ping.p95, 1)),
            ("client late p95, ms", lambda row: _number(row.client_late_p95_ms, 1)),
            ("lost calls", lambda row: str(row.lost_calls)),
        ],
    )


def _parts(rows: Sequence[Figures], names: Sequence[str]) -> str:
    ours = [row for row in rows if any(part in row.cpu_by_part for part in RAY_PARTS)]
    parts = sorted({part for row in ours for part in row.cpu_by_part})

    def column(part: str) -> Cell:
        return lambda row: f"{row.cpu_by_part.get(part, 0.0):.2f}"

    return _table(ours, names, [(part, column(part)) for part in parts]) if ours else ""


def _interruptions(rows: Sequence[Figures], names: Sequence[str]) -> str:
    return _table(
        rows,
        names,
        [
            ("flush mean", lambda row: _number(row.flush and row.flush.mean)),
            ("flush p95", lambda row: _number(row.flush and row.flush.p95)),
            ("over `control`", lambda row: _plus_minus(_flush_against(rows, row))),
            ("last old audio mean", lambda row: _number(row.last_audio and row.last_audio.mean)),
            ("p95", lambda row: _number(row.last_audio and row.last_audio.p95)),
        ],
    )


def _ratios(rows: Sequence[Figures], names: Sequence[str]) -> str:
    floor_ms = floor_of(rows)
    lines = [
        f"- knee of `{name}`: {knee((r for r in rows if r.system == name), floor_ms)} calls"
        for name in names
    ]
    peer = {row.calls: row for row in rows if row.system == PEER}
    for name in names:
        if not name.startswith("parley"):
            continue
        for row in (r for r in rows if r.system == name and r.calls in peer):
            lines.append(f"- `{name}` to `{PEER}` at {row.calls}: {_ratio(row, peer[row.calls])}")
    return "\n".join(lines)


def floor_of(rows: Iterable[Figures]) -> float:
    """The control's mean at its fewest calls; the nominal floor where it was not run."""
    controls = (row for row in rows if row.system == FLOORS[0])
    fewest = min(controls, key=lambda row: row.calls, default=None)
    first = fewest.first_audio if fewest else None
    return first.mean if first else float(ENDPOINT_MS + NOMINAL_MS)


def _ratio(ours: Figures, theirs: Figures) -> str:
    parts = [f"CPU {ours.cpu / theirs.cpu:.2f}"] if theirs.cpu else []
    if ours.first_audio and theirs.first_audio:
        mean = ours.first_audio.mean / theirs.first_audio.mean
        parts.insert(0, f"mean time to first audio {mean:.2f}")
    return ", ".join(parts)


def _against(rows: Sequence[Figures], row: Figures, floor: str) -> Difference | None:
    other = _same_row(rows, row, floor)
    if other is None or other is row:
        return None
    return paired(row.first_audio_by_alignment, other.first_audio_by_alignment)


def _flush_against(rows: Sequence[Figures], row: Figures) -> Difference | None:
    other = _same_row(rows, row, FLOORS[0])
    if other is None or other is row:
        return None
    return paired(row.flush_by_alignment, other.flush_by_alignment)


def _same_row(rows: Sequence[Figures], row: Figures, system: str) -> Figures | None:
    same = (r for r in rows if (r.system, r.calls, r.slots) == (system, row.calls, row.slots))
    return next(same, None)


def _table(
    rows: Sequence[Figures], names: Sequence[str], columns: Sequence[tuple[str, Cell]]
) -> str:
    ordered = sorted(rows, key=lambda row: (row.calls, names.index(row.system)))
    head = ["calls", "system", *(title for title, _ in columns)]
    lines = [
        [str(row.calls), f"`{row.system}`", *(cell(row) for _, cell in columns)] for row in ordered
    ]
    return table(head, lines, left=(1,))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = ()) -> str:
    """A Markdown table of numbers; the columns `left` are words."""
    ruler = ["---" if at in left else "--:" for at in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ruler, *rows))


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _plus_minus(difference: Difference | None) -> str:
    if difference is None:
        return "–"
    return f"{difference.mean:+.1f} ± {difference.half_width:.1f}"
