"""docs/capacity.md: its tables are made, put in their places, and all there."""

from __future__ import annotations

import pytest

from bench.capacity.__main__ import DOCUMENT, NoPlace, filled
from bench.capacity.measured import PARTS, Measured
from bench.capacity.replicas import LOADS, configured
from bench.capacity.report import begin, end, tables

COST = Measured("parley-reply", 24, "Made up.", dict.fromkeys(PARTS, 0.5), call_mb=5.0)


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """All tables of short plays, one load, small pools."""
    return tables(COST, configured(), [LOADS / "spike.csv"], replies=200, seconds=300.0, pools=[1])


def held(document: str, name: str) -> list[str]:
    """The lines of a table in the page."""
    inside = document.partition(begin(name))[2].partition(end(name))[0]
    return [line for line in inside.splitlines() if line.startswith("|")]


def test_tables_have_a_row_for_each_case(made: dict[str, str]) -> None:
    """As many cells in each row as in its head, none of them empty but a head's."""
    for text in made.values():
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) > 2
        assert len({line.count("|") for line in lines}) == 1
        assert not any("|  |" in line for line in lines[2:])
    assert made["loads"].count("| spike |") == 4
    assert made["plan"].count("| 10 000 |") == 3
    assert "Made up." in made["cpu"]


def test_tables_are_put_in_their_places(made: dict[str, str]) -> None:
    """The words around stay; a second time changes nothing."""
    empty = "\n\nWords.\n\n".join(f"{begin(name)}\n\n{end(name)}" for name in made)
    once = filled(empty, made)
    assert once.count("Words.") == len(made) - 1
    assert all(text in once for text in made.values())
    assert filled(once, made) == once


def test_a_table_without_a_place_is_refused() -> None:
    """Rather than put at the end, where nobody explains it."""
    with pytest.raises(NoPlace, match="voices"):
        filled("# Capacity\n", {"voices": "| 1 |"})
    with pytest.raises(NoPlace, match="voices"):
        filled(begin("voices"), {"voices": "| 1 |"})


def test_the_committed_page_is_complete(made: dict[str, str]) -> None:
    """It has every table, with the heads of today's and a row for every load."""
    document = DOCUMENT.read_text()
    for name, text in made.items():
        lines = held(document, name)
        assert len(lines) > 2, f"run python -m bench.capacity: no table {name}"
        if name != "voices":  # Its head says which pools were played.
            assert lines[0] == next(line for line in text.splitlines() if line.startswith("|"))
    loads = {line.split("|")[1].strip() for line in held(document, "loads")[2:]}
    assert loads == {path.stem for path in LOADS.glob("*.csv")}
    assert held(document, "figures") == [
        line for line in made["figures"].splitlines() if line.startswith("|")
    ]
