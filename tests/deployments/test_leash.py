"""What is held ends with its holder, even one that is killed; what was let go does not."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a leash needs /proc")

HOLDER = """
import os, signal, subprocess, sys
from deployments.leash import Leash
leash = Leash()
free = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
with leash.marking():
    held = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE)
grandchild = int(held.stdout.readline())
if sys.argv[1] == "release":
    leash.release()
print(free.pid, held.pid, grandchild, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def held_by(what: str) -> list[psutil.Process]:
    """A free process, a held one and its child, whose holder was killed."""
    run = subprocess.run(
        [sys.executable, "-c", HOLDER, what], stdout=subprocess.PIPE, check=False, timeout=30
    )
    return [psutil.Process(int(pid)) for pid in run.stdout.split()]


def test_a_killed_holder_takes_what_it_held_along() -> None:
    """Children and theirs; not what was started outside."""
    free, *held = held_by("hold")
    gone, alive = psutil.wait_procs(held, timeout=10)
    assert (set(gone), alive) == (set(held), [])
    assert free.is_running()
    free.kill()


def test_what_was_let_go_lives_on() -> None:
    """A holder that ends in order ends them itself."""
    processes = held_by("release")
    assert all(process.is_running() for process in processes)
    for process in processes:
        process.kill()
