"""The session table."""

from __future__ import annotations

from clients.events import Timings
from clients.session_table import Measurements, session_table


def test_the_table():
    """Average, least and most of each stage, in ms."""
    measured = Measurements(
        timings=[Timings("r1", 200, 40, 2, 10, 20), Timings("r2", 200, 60, 4, 30, 40)],
        round_trips_ms=[0.25],
        end_to_end_ms=[500.0, 1234.56],
    )
    assert session_table(measured).splitlines() == [
        "ms               avg       min       max     n",
        "STT             50.0      40.0      60.0     2",
        "LLM              3.0       2.0       4.0     2",
        "TTS             20.0      10.0      30.0     2",
        "pipeline        30.0      20.0      40.0     2",
        "network          0.2       0.2       0.2     1",
        "end-to-end     867.3     500.0    1234.6     2",
    ]


def test_nothing_measured():
    """Dashes, not a crash."""
    rows = session_table(Measurements()).splitlines()[1:]
    assert len(rows) == 6
    assert all(row.split()[1:] == ["-", "-", "-", "0"] for row in rows)
