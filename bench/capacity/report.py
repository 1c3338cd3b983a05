"""The tables of docs/capacity.md, each by the name that its marks have there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.capacity import recogniser
from bench.capacity.assumptions import (
    CARRIES,
    FIGURES,
    FINAL_WAIT_MS,
    PACES,
    PUBLISHED,
    STARTS_S,
    UNDERRUNS_PER_100,
    VOICE_AGE_MS,
    VOICE_PER_REPLICA,
    WAIT_MS,
)
from bench.capacity.cards import card_time
from bench.capacity.measured import PARTS, Measured
from bench.capacity.plan import CALLS, Plan, calls_a_core, plan
from bench.capacity.replicas import Scaling, load, play
from bench.capacity.voices import REPLIES, heard, most_calls
from bench.report import table
from serve_app.autoscaling import replicas_needed

POOLS = (1, 2, 5, 16)
CARD_VOICES = {"40 GB": 2, "80 GB": 5}
"""Voices on a card: serve_config.yaml, plans/80gb.yaml."""
WATCHED = 2
"""Voices of the pool that is played from idle to too full, as the policy sees it."""
WATCHED_CALLS = (2, 4, 6, 8, 10, 12, 14, 16)
RECOGNISED_CALLS = (4, 16, 32, 64)
RECOGNISER_S = 1_800.0


def begin(name: str) -> str:
    """The mark before a table."""
    return f"<!-- capacity, {name}: written by `python -m bench.capacity`; do not edit below -->"


def end(name: str) -> str:
    """The mark after it."""
    return f"<!-- capacity, {name}: end -->"


def tables(
    measured: Measured,
    scaling: Scaling,
    loads: Sequence[Path],
    *,
    replies: int = REPLIES,
    seconds: float = RECOGNISER_S,
    pools: Sequence[int] = POOLS,
) -> dict[str, str]:
    """All of them. `replies`, `seconds`: how long voices and recogniser are played."""
    return {
        "figures": figures(),
        "voices": voices(pools, replies),
        "policy": policy(replies),
        "recogniser": recognised(seconds),
        "card": card(),
        "cpu": cpu(measured),
        "loads": replicas(scaling, loads),
        "plan": plans(measured, replies),
    }


def figures() -> str:
    """What goes in."""
    rows = [
        [name, f"{each.value:g}", each.unit, each.source, each.why]
        for name, each in FIGURES.items()
    ]
    return table(["", "", "unit", "source", ""], rows, left=(0, 2, 3, 4))


def voices(pools: Sequence[int], replies: int) -> str:
    """The most calls that a pool of voices carries, by how fast they are."""
    rows = list[list[str]]()
    for factor, pace in PACES.items():
        most = [most_calls(each, pace, WAIT_MS, UNDERRUNS_PER_100, replies) for each in pools]
        rows.append([f"{factor:g}", f"{pace.first_audio_s * 1000:.0f}", *map(str, most)])
    named = [f"{each} voice{'s' if each > 1 else ''}" for each in pools]
    return table(["real-time factor", "first audio, ms", *named], rows)


def policy(replies: int) -> str:
    """What callers hear of two voices, and what the autoscaling policy makes of it."""
    rows = list[list[str]]()
    for calls in WATCHED_CALLS:
        each = heard(WATCHED, calls, PUBLISHED, replies)
        wanted = replicas_needed(
            each.ongoing * WATCHED,
            [each.age_ms] * WATCHED,
            WATCHED,
            per_replica=VOICE_PER_REPLICA,
            max_queue_age_ms=VOICE_AGE_MS,
        )
        rows.append(
            [
                str(calls),
                f"{each.busy:.0%}",
                f"{each.wait_p95_ms:.0f}",
                f"{each.underruns_per_100:.1f}",
                f"{each.ongoing:.2f}",
                f"{each.age_ms:.0f}",
                str(wanted),
            ]
        )
    head = ["calls", "busy", "wait p95, ms", "underruns per 100"]
    return table([*head, "phrases a voice", "queue age, ms", "voices wanted"], rows)


def recognised(seconds: float) -> str:
    """How long finals wait at one recogniser, and how many calls it carries."""
    window_s = FIGURES["window"].value
    rows = list[list[str]]()
    for partials, name in ((True, "with partials"), (False, "without")):
        waits = [
            recogniser.final_wait_p95_ms(calls, window_s, seconds, partials=partials)
            for calls in RECOGNISED_CALLS
        ]
        most = recogniser.most_calls(window_s, FINAL_WAIT_MS, partials, seconds)
        rows.append([name, *(f"{wait:.0f}" for wait in waits), str(most)])
    named = [f"{calls} calls" for calls in RECOGNISED_CALLS]
    return table(["", *named, f"most calls within {FINAL_WAIT_MS:.0f} ms"], rows, left=(0,))


def card() -> str:
    """What a call takes of a card's time, where the stages on it take turns."""
    rows = list[list[str]]()
    for factor, pace in PACES.items():
        for speculation, partials in ((True, True), (False, True), (False, False)):
            each = card_time(pace, speculation=speculation, partials=partials)
            rows.append(
                [
                    f"{factor:g}",
                    _yes(speculation),
                    _yes(partials),
                    *(f"{1000 * part:.0f}" for part in (each.voice, each.model, each.recogniser)),
                    f"{each.calls:.1f}",
                ]
            )
    head = ["real-time factor", "speculation", "partials", "voice, ms/s", "model, ms/s"]
    return table([*head, "recogniser, ms/s", "calls a card"], rows, left=(1, 2))


def cpu(measured: Measured) -> str:
    """CPU and memory of a call, as the bench measured them."""
    rows = [
        [part, f"{measured.cpu_s[part]:.2f}", f"{calls_a_core(measured.cpu_s[part]):.0f}"]
        for part in PARTS
    ]
    whole = measured.cores_a_call * 60
    rows.append(["all of these", f"{whole:.2f}", f"{calls_a_core(whole):.0f}"])
    made = table(["part", "CPU s / call-min", "calls a core at 70 %"], rows, left=(0,))
    return (
        f"`{measured.system}` with {measured.calls} calls; a call adds {measured.call_mb:.1f} MB. "
        f"{measured.conditions}\n\n{made}"
    )


def replicas(scaling: Scaling, loads: Iterable[Path]) -> str:
    """The ingress's policy over every load: as planned and with heavier calls, by start-up."""
    rows = list[list[str]]()
    for path in loads:
        begun = load(path)
        for carried, carries in CARRIES.items():
            for starts, starts_s in STARTS_S.items():
                course = play(begun, scaling, starts_s=starts_s, carries=carries)
                well = min(scaling.per_replica, carries)
                fewest = sum(course.needed(well, scaling.min_replicas)) / 3600
                rows.append(
                    [
                        path.stem,
                        carried,
                        starts,
                        str(course.begun),
                        str(max(course.calls)),
                        str(course.refused),
                        str(course.late),
                        str(max(course.running)),
                        str(course.changes),
                        str(course.turns),
                        str(course.longest_short_s(well)),
                        f"{course.replica_hours:.1f}",
                        f"{fewest:.1f}",
                    ]
                )
    head = ["load", "a replica carries", "what starts", "calls", "most at once", "refused", "late"]
    counts = ["most replicas", "changes", "of direction", "short at most, s"]
    return table([*head, *counts, "replica-hours", "the fewest"], rows, left=(0, 1, 2))


def plans(measured: Measured, replies: int) -> str:
    """Calls in cards, machines and clusters, between the two bounds of a card."""
    turns = card_time(PUBLISHED, speculation=True).calls
    bounds: list[tuple[str, int, float]] = [("40 GB, in turns", CARD_VOICES["40 GB"], turns)]
    for size, count in CARD_VOICES.items():
        most = most_calls(count, PUBLISHED, WAIT_MS, UNDERRUNS_PER_100, replies)
        bounds.append((f"{size}, side by side", count, float(most)))
    columns: list[tuple[str, Callable[[Plan], str]]] = [
        ("at the peak", lambda each: _thousands(each.peak_calls)),
        ("clusters", lambda each: _thousands(each.clusters)),
        ("machines", lambda each: _thousands(each.machines)),
        ("cards", lambda each: _thousands(each.cards)),
        ("voices", lambda each: _thousands(each.voices)),
        ("ingress replicas", lambda each: _thousands(each.ingress_replicas)),
        ("cores", lambda each: _thousands(math.ceil(each.call_cores))),
        ("cores a machine", lambda each: f"{each.cores_a_machine:.1f}"),
        ("memory, GB", lambda each: f"{each.memory_gb:.1f}"),
        ("PCM, Gbit/s", lambda each: f"{each.pcm_gbits:.2f}"),
        ("Opus, Gbit/s", lambda each: f"{each.opus_gbits:.2f}"),
    ]
    rows = list[list[str]]()
    for calls in CALLS:
        for name, count, carried in bounds:
            made = plan(calls, carried, count, measured)
            cells = [cell(made) for _, cell in columns]
            rows.append([_thousands(calls), name, f"{carried:.1f}", *cells])
    head = ["calls", "card", "calls a card", *(name for name, _ in columns)]
    return table(head, rows, left=(1,))


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _yes(true: bool) -> str:
    return "yes" if true else "no"
