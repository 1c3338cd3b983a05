"""Records on their way from the callers."""

from __future__ import annotations

import pytest

from loadtest.records import CameBack, StepBegan, from_line, to_line
from tests.loadtest.made import run, wrong


def test_every_record_comes_through_as_it_was() -> None:
    """One line each."""
    for record in [*run(), *wrong(), CameBack(1.5, 3, "x", 40.0), StepBegan(2.0, 8)]:
        line = to_line(record)
        assert "\n" not in line
        assert from_line(line) == record


@pytest.mark.parametrize(
    "line", ["", "[]", "{}", '{"record": "Other"}', '{"record": "StepBegan", "at": 1}']
)
def test_what_is_no_record_is_said_to_be_none(line: str) -> None:
    """A ValueError, whatever it is."""
    with pytest.raises(ValueError):
        from_line(line)
