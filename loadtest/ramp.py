"""locust's shape of a ramp: steps of `--step-users` calls, up to `-u`, until one does not hold.

locust -f loadtest/locustfile.py,loadtest/ramp.py -u 40 --step-users 4 --step-seconds 30 …
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import time

from locust import LoadTestShape

from loadtest.records import StepBegan
from loadtest.steps import Staircase


class Ramp(LoadTestShape):
    """Asked by locust every second how many users there are to be."""

    use_common_options = True

    def __init__(self):
        super().__init__()
        self._stairs = None

    def reset_time(self):
        """A test starts."""
        super().reset_time()
        self._stairs = None

    def tick(self):
        """Users and how many of them start a second; None ends the test."""
        state, options = self.runner.environment.parley, self.runner.environment.parsed_options
        if state.outcome is None:
            return 0, 1.0
        if self._stairs is None:
            self._stairs = Staircase(
                options.step_users,
                options.step_seconds,
                options.num_users or 1_000,
                lambda calls: state.outcome.records.append(StepBegan(time.time(), calls)),
                state.outcome.last_step_holds,
            )
        calls = self._stairs.calls_at(self.get_run_time())
        return None if calls is None else (calls, options.spawn_rate or 2.0)
