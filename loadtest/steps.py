"""A ramp in steps: more calls with each, until one does not keep its objectives. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Staircase:
    """`height` calls more with each step of `length_s`, up to `most`.

    `began` is told each step's number of calls as it begins; `holds` is asked of the last one.
    """

    height: int
    length_s: float
    most: int
    began: Callable[[int], None]
    holds: Callable[[], bool]
    _step: int = field(default=-1, init=False)

    def calls_at(self, run_s: float) -> int | None:
        """How many calls there are to be `run_s` into the run; None: it is over."""
        step = int(run_s // self.length_s)
        calls = min(self.height * (step + 1), self.most)
        if step != self._step:
            if self._step >= 0 and (self.height * step >= self.most or not self.holds()):
                return None
            self._step = step
            self.began(calls)
        return calls
