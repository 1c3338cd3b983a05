"""Calls in cards, machines, cores and bits; and what a call costs, from the bench's rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.capacity.assumptions import PACES, PUBLISHED, TURN_S
from bench.capacity.cards import card_time
from bench.capacity.measured import PARTS, Measured, NotMeasured, measured, read
from bench.capacity.plan import calls_a_core, plan
from bench.figures import Figures, as_json, figures_of
from tests.bench.rows import row

COST = Measured("parley-reply", 24, "Made up.", dict.fromkeys(PARTS, 0.42), call_mb=5.0)
"""2.1 CPU seconds a call-minute: 0.035 of a core, and 0.05 where it is busy for 70 %."""


def test_ten_thousand_calls_are_counted_by_hand() -> None:
    """10 clusters of 1150 calls at the peak; 10 a card less a tenth; a machine to lose in each."""
    made = plan(10_000, 10.0, 2, COST)
    assert (made.peak_calls, made.clusters) == (11_500, 10)
    assert made.machines == 10 * (16 + 1)  # 1150 / 9 = 128 cards
    assert (made.cards, made.voices) == (1_360, 2_720)
    assert made.ingress_replicas == 10 * 54  # 1150 / 21.6
    assert made.call_cores == pytest.approx(11_500 * 0.05)
    assert made.cores_a_machine == pytest.approx(575 / 170)
    assert made.memory_gb == pytest.approx(57.5)
    assert made.pcm_gbits == pytest.approx(11_500 * (256 + 384 * 5.85 / TURN_S) / 1e6)
    assert made.opus_gbits < made.pcm_gbits / 5


def test_an_ingress_carries_no_more_than_its_core() -> None:
    """4.2 CPU seconds a call-minute leave it 10 calls, not 24; a call still counts as before."""
    dear = replace(COST, cpu_s=COST.cpu_s | {"ingress": 4.2})
    assert plan(1_000, 10.0, 2, dear).ingress_replicas == 128  # 1150 / 9


def test_one_call_needs_a_card_and_one_to_lose() -> None:
    """The least there is."""
    made = plan(1, 3.0, 2, COST)
    assert (made.clusters, made.machines, made.ingress_replicas) == (1, 2, 1)


@pytest.mark.parametrize("bad", [(0, 1.0, 1), (1, 0.0, 1), (1, 1.0, 0)])
def test_a_plan_of_nothing_is_refused(bad: tuple[int, float, int]) -> None:
    """A card that carries no call is never enough."""
    with pytest.raises(ValueError, match="above 0"):
        plan(*bad, COST)


def test_a_core_is_busy_for_seven_tenths() -> None:
    """42 of its 60 seconds a minute."""
    assert calls_a_core(2.1) == pytest.approx(20)
    with pytest.raises(ValueError, match="above 0"):
        calls_a_core(0.0)


def test_a_card_carries_more_with_less_on_it() -> None:
    """Faster voices, no speculation, no partials: each by itself."""
    whole = card_time(PUBLISHED, speculation=True)
    assert card_time(PUBLISHED).calls > whole.calls
    assert card_time(PUBLISHED, speculation=True, partials=False).calls > whole.calls
    assert card_time(PACES[0.1], speculation=True).calls > whole.calls
    assert whole.voice > whole.model + whole.recogniser, "the voice is what docs/capacity.md names"


def held(calls: int, memory_mb: float, system: str = "parley-reply") -> Figures:
    """A row that holds."""
    figures = figures_of(system, None, row([500.0] * calls, calls))
    cpu = dict.fromkeys(PARTS, 1 / calls)
    return replace(figures, cpu_by_part=cpu, memory_after_mb=memory_mb)


def test_the_fullest_row_that_held_is_taken() -> None:
    """Whatever numbers of calls were measured; others and later rows that broke count nothing."""
    rows = [
        held(16, 145.0),
        replace(held(28, 900.0), underruns=3),
        held(4, 25.0),
        held(40, 999.0, "parley"),
        replace(held(32, 900.0), slots=2),
    ]
    made = measured(rows, "Then.")
    assert (made.calls, made.call_mb) == (16, 10.0)
    assert made.cores_a_call == pytest.approx(5 / 16 / 60)


def test_without_two_rows_nothing_is_reckoned() -> None:
    """One is not enough to say what a call adds; nor a row without CPU of a part."""
    with pytest.raises(NotMeasured, match="not 1"):
        measured([held(8, 10.0), replace(held(16, 20.0), lost_calls=1)], "")
    bare = {part: 1.0 for part in PARTS if part != "proxy"}
    with pytest.raises(NotMeasured, match="proxy"):
        measured([held(8, 10.0), replace(held(16, 20.0), cpu_by_part=bare)], "")


def test_what_the_bench_wrote_is_read(tmp_path: Path) -> None:
    """Its file, as `make bench` leaves it; and the one of the repository can be reckoned with."""
    path = tmp_path / "bench.json"
    rows = [as_json(held(8, 10.0)), as_json(held(16, 26.0))]
    path.write_text(json.dumps({"conditions": "Now.", "rows": rows}))
    assert read(path) == measured([held(8, 10.0), held(16, 26.0)], "Now.")
    assert read().cores_a_call > 0
