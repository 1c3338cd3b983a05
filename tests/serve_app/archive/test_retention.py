"""Which recordings are to go."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from serve_app.archive.retention import Kept, to_remove

NOW = 1_000_000


def kept(name: str, age_s: int, size: int = 10) -> Kept:
    """A recording begun so long ago."""
    return Kept(Path(name), NOW - age_s, size)


def test_what_is_too_old() -> None:
    """Older than it may get; to the second."""
    found = to_remove([kept("a", 101), kept("b", 100), kept("c", 0)], NOW, 100, 1_000)
    assert found == {Path("a"): "expired"}


def test_past_the_bound_the_oldest_go() -> None:
    """As many as it takes; what is too old anyway needs no room."""
    recordings = [kept("b", 30), kept("d", 10), kept("old", 200, 500), kept("c", 20), kept("a", 40)]
    assert to_remove(recordings, NOW, 100, 25) == {
        Path("old"): "expired",
        Path("a"): "no_room",
        Path("b"): "no_room",
    }


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 50)), max_size=20))
def test_what_stays_fits(ages: list[tuple[int, int]]) -> None:
    """Whatever there is, nothing that stays is too old, and all of it has room."""
    recordings = [kept(str(n), age, size) for n, (age, size) in enumerate(ages)]
    going = to_remove(recordings, NOW, 100, 120)
    staying = [recording for recording in recordings if recording.path not in going]
    assert all(recording.at >= NOW - 100 for recording in staying)
    assert sum(recording.size for recording in staying) <= 120
