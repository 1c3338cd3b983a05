"""The port and the lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher import LaunchError, ports
from tests.launcher.vacant import vacant_port


def test_a_port_in_use_is_not_free(taken_port: int) -> None:
    """A listening server is seen, and its absence too."""
    assert not ports.port_is_free("127.0.0.1", taken_port)
    assert ports.port_is_free("127.0.0.1", vacant_port())


def test_free_port_keeps_the_preferred_one_only_if_free(taken_port: int) -> None:
    """A side port moves out of the way."""
    vacant = vacant_port()
    assert ports.free_port(vacant) == vacant
    assert ports.free_port(taken_port) != taken_port


def test_claiming_a_taken_port_is_one_line(tmp_path: Path, taken_port: int) -> None:
    """The port is named, and what to do."""
    with (
        pytest.raises(LaunchError, match=f"port {taken_port} is taken.*--port") as refusal,
        ports.claimed("127.0.0.1", taken_port, tmp_path),
    ):
        pytest.fail("claimed a taken port")
    assert "\n" not in str(refusal.value)


def test_a_second_copy_is_told_of_the_first(tmp_path: Path) -> None:
    """The lock names the first copy's process, and is free once that is done."""
    port = vacant_port()
    with (
        ports.claimed("127.0.0.1", port, tmp_path),
        pytest.raises(LaunchError, match=rf"already running .*\b{os.getpid()}\b"),
        ports.claimed("127.0.0.1", port, tmp_path),
    ):
        pytest.fail("claimed twice")
    with ports.claimed("127.0.0.1", port, tmp_path):
        pass
