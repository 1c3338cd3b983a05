"""The end of a session's processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from launcher import session


def test_end_session_ends_a_stubborn_child_of_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grandchild in a process group of its own that ignores SIGTERM ends too; others live."""
    monkeypatch.setattr(session, "STOP_GRACE_S", 0.1)
    inner = (
        "import os,signal;os.setpgid(0,0);signal.signal(signal.SIGTERM,signal.SIG_IGN);"
        "print('up',flush=True);signal.pause()"
    )
    outer = f"import subprocess,sys;subprocess.run([sys.executable,'-c',{inner!r}])"
    command = [sys.executable, "-c", outer]
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"up\n"
        assert len(session.session_members(leader.pid)) == 2
        session.end_session(leader.pid)
        assert session.session_members(leader.pid) == []
    assert other.poll() is None
    other.communicate(b"\n")
