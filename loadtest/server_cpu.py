"""What a server on this machine spends: CPU seconds of all processes of its session."""

from __future__ import annotations

from contextlib import suppress

import psutil

from launcher.session import session_members


class ServerCpuClock:
    """Counts from when it is made; what an ended process had spent stays counted."""

    def __init__(self, session: int) -> None:
        """`session`: the process id of its leader."""
        self._session = session
        self._spent: dict[tuple[int, float], float] = {}

    def read(self) -> float:
        """CPU seconds until now."""
        for process in session_members(self._session):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                times = process.cpu_times()
                self._spent[process.pid, process.create_time()] = times.user + times.system
        return sum(self._spent.values())
