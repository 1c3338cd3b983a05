"""The most calls that still do well: doubled until they do not, then halved in between. Pure."""

from __future__ import annotations

from collections.abc import Callable


def most_calls(do_well: Callable[[int], bool], tried: int) -> int:
    """The most calls that do well; 0: not even one. `tried` are tried first.

    It is taken that fewer calls do no worse.
    """
    good, bad = 0, tried
    while do_well(bad):
        good, bad = bad, bad * 2
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if do_well(middle) else (good, middle)
    return good
