"""Which port is free, and which copy of the launcher holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
from collections.abc import Generator
from pathlib import Path

from launcher import LaunchError


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """The preferred port where it is free on every interface, else any that is."""
    if preferred is not None and port_is_free("0.0.0.0", preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


def free_range(first: int, last: int, size: int) -> range:
    """So many ports in a row, at random, of which nobody uses the first.

    For what takes its ports later: two that begin at once hardly ever choose the same.
    """
    starts = list(range(first, last - size + 2, size))
    random.shuffle(starts)
    for start in starts:
        if port_is_free("0.0.0.0", start):
            return range(start, start + size)
    raise LaunchError(f"no {size} ports are free from {first} to {last}")


@contextlib.contextmanager
def claimed(host: str, port: int, directory: Path) -> Generator[None, None, None]:
    """Hold the right to run at this port. Raises LaunchError where a copy or another has it."""
    path = directory / f"parley-{os.getuid()}-{port}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LaunchError(
                f"already running at {host}:{port} (process {lock.read().strip()}):"
                " stop it with Ctrl-C there, or choose another port with --port"
            ) from None
        if not port_is_free(host, port):
            raise LaunchError(
                f"port {port} is taken by another program:"
                " stop that, or choose another port with --port"
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
