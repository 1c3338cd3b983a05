"""What Serve's word on running replicas means for one of them."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_app.stop_notice import Running


def test_only_one_that_ran_is_to_stop() -> None:
    """One that is not among them yet starts; how many others there are is told as well."""
    told: list[tuple[bool, int]] = []
    running = Running("me", lambda runs, others: told.append((runs, others)))
    for ids in (["old"], ["old", "me"], ["me"], ["new", "newer"]):
        replicas = [SimpleNamespace(replica_id=each) for each in ids]
        running.hear(SimpleNamespace(running_replicas=replicas))
    assert told == [(True, 1), (True, 0), (False, 2)]
