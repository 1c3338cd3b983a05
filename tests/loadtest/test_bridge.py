"""The process of callers, started and spoken to as locust does it."""

from __future__ import annotations

import threading

import pytest

from launcher.ports import free_port
from loadtest.bridge import Bridge, CallersGone
from loadtest.records import Failure, Record, Second


def test_a_call_is_made_and_its_records_come() -> None:
    """Nothing listens there, so it is refused; the process ends with its orders."""
    records: list[Record] = []
    seen = threading.Event()

    def take(record: Record) -> None:
        records.append(record)
        if isinstance(record, Second):
            seen.set()

    bridge = Bridge(["--url", f"ws://127.0.0.1:{free_port(24_500)}/ws"], take)
    bridge.call(3)
    assert seen.wait(30)
    bridge.close()
    failures = [record for record in records if isinstance(record, Failure)]
    assert [(f.call, f.kind) for f in failures] == [(3, "refused: unreachable")]
    with pytest.raises(CallersGone):
        bridge.call(4)
