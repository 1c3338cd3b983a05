"""Figures → the document's section, and the picture."""

from xml.etree import ElementTree

import pytest

from bench.figures import Figures, figures_of
from bench.picture import picture
from bench.report import BEGIN, END, floor_of, replaced, section
from tests.bench.rows import row


def rows() -> list[Figures]:
    """Three systems at one call."""
    made = {"control": [600.0, 610.0], "parley": [505.0, 507.0], "pipecat": [620.0, 630.0]}
    return [figures_of(name, None, row([*firsts])) for name, firsts in made.items()]


SYSTEMS = [("control", "the floor"), ("parley", "ours"), ("pipecat", "the peer")]


def test_section_is_put_in_place() -> None:
    """What lies around the markers stays; a second time replaces the first."""
    once = replaced("# Performance\n\nWords.\n", "one")
    assert once == f"# Performance\n\nWords.\n\n{BEGIN}\n\none\n\n{END}\n"
    assert replaced(once + "\nMore.\n", "two") == once.replace("one", "two") + "\nMore.\n"
    assert replaced("", "one").startswith(BEGIN)


def test_section_has_the_ratios() -> None:
    """The section ends with knees and ratios to the peer, and shows paired differences."""
    made = section(rows(), SYSTEMS, [], "Measured.", "x.svg")
    assert "| 1 | `parley` | 506 |" in made
    assert "-99.0 ± 7.8" in made
    assert made.endswith("at 1: mean time to first audio 0.81, CPU 1.00")


def test_floor_is_the_control_alone() -> None:
    """The floor is the control's mean at its fewest calls, nominal without one."""
    assert floor_of(rows()) == pytest.approx(605.0)
    assert floor_of([]) == pytest.approx(537.0)


def test_picture_is_xml_with_a_line_a_system() -> None:
    """The SVG parses, and has a line for each system in each of two plots."""
    names = [name for name, _ in SYSTEMS]
    root = ElementTree.fromstring(picture(rows(), names, 605.0))
    lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2 * len(names)
    assert all(line.get("points") for line in lines)


def test_judged_systems_have_a_table_of_their_own() -> None:
    """They are in no other table, and in no ratio."""
    judged = figures_of("parley-smart", None, row([400.0, 410.0]))
    described = [*SYSTEMS, ("parley-smart", "ours, with Smart Turn")]
    made = section([*rows(), judged], described, ["parley-smart"], "Measured.", "x.svg")
    assert made.count("| 1 | `parley-smart` | 405 |") == 1
    assert made.index("judged by its sound") < made.index("| 1 | `parley-smart` | 405 |")
    assert "`parley-smart` to" not in made
    assert "knee of `parley-smart`" not in made
