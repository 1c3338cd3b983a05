"""The end of a session: all of its processes, and no other."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from typing import IO

import psutil

STOP_GRACE_S = 3.0
POLL_S = 0.05


def session_members(session: int) -> list[psutil.Process]:
    """The live processes of a session."""
    members: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def end_session(session: int) -> None:
    """End every process of a session: asked first, killed after STOP_GRACE_S."""
    _signal_all(session_members(session), signal.SIGTERM)
    deadline = time.monotonic() + STOP_GRACE_S
    while members := session_members(session):
        if time.monotonic() > deadline:
            _signal_all(members, signal.SIGKILL)
        time.sleep(POLL_S)


def _signal_all(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def keep(orders: IO[str]) -> int:
    """The keeper: told the session and its directory, it waits for the launcher's end."""
    order = orders.readline().split(maxsplit=1)
    orders.read()
    if order:
        end_session(int(order[0]))
        shutil.rmtree(order[1].strip(), ignore_errors=True)
    return 0
