"""Ports in a row for what takes them later."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from launcher import LaunchError, plan
from launcher.ports import free_range


def test_a_range_lies_within_its_bounds() -> None:
    """Whichever is chosen."""
    chosen = {free_range(26_000, 26_199, 50).start for _ in range(50)}
    assert chosen <= {26_000, 26_050, 26_100, 26_150}
    assert len(chosen) > 1


def test_a_range_that_somebody_uses_is_not_chosen() -> None:
    """And without any other there is one clear line."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind(("0.0.0.0", 26_310))
        assert {free_range(26_310, 26_329, 10).start for _ in range(20)} == {26_320}
        with pytest.raises(LaunchError, match="no 10 ports are free from 26310 to 26319"):
            free_range(26_310, 26_319, 10)


def test_two_graphs_have_replicas_at_other_ports(tmp_path: Path) -> None:
    """What one HAProxy takes for its replica must not be another graph's."""
    names = ("MIN_HTTP", "MAX_HTTP", "MIN_GRPC", "MAX_GRPC")
    places = [plan.haproxy_places(tmp_path) for _ in range(20)]
    found = {
        tuple(int(p[f"RAY_SERVE_DIRECT_INGRESS_{name}_PORT"]) for name in names) for p in places
    }
    assert all(b - a == d - c == 49 and b < c for a, b, c, d in found)
    assert len(found) > 15
