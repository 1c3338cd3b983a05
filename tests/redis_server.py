"""A real Redis of a test's own, at a free port, with nothing on disk."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SERVER = shutil.which("redis-server")


@contextmanager
def running(directory: Path, port: int = 0) -> Iterator[str]:
    """Its URL; it ends with the block. Port 0 takes any that is free."""
    if SERVER is None:
        pytest.skip("redis-server is not installed (on Debian: apt install redis-server)")
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
    options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(directory))
    command = (SERVER, "--port", str(port), *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            for line in server.stdout:
                if "Ready to accept connections" in line:
                    break
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.communicate()
