"""Python's garbage collector, told that what is loaded stays."""

from __future__ import annotations

import gc


def keep_what_is_loaded() -> None:
    """What calls leave in cycles is freed soon, and looking for it takes a moment.

    Python puts a whole collection off until what is new is a quarter of what it found the last
    time: of all that was loaded, if that was then. So it looks again once this is out of its way.
    """
    gc.collect()
    gc.freeze()
    gc.collect()
