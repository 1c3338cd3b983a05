"""CPU and memory of a process tree, by part."""

import subprocess
import sys

import pytest

from bench.process_tree import Process, cpu_between, memory, part_of, snapshot, total


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("/x/ray/core/src/ray/gcs/gcs_server --log_dir=/ray/", "gcs"),
        ("/x/ray/core/src/ray/raylet/raylet --raylet_socket_name=/y", "raylet"),
        ("ray::ServeController.listen_for_change", "controller"),
        ("ray::ProxyActor", "proxy"),
        ("/x/bin/haproxy -f /tmp/h/haproxy.cfg", "proxy"),
        ("ray::ServeReplica:parley:Ingress", "ingress"),
        ("ray::ServeReplica:parley:TextToSpeech.handle_request_streaming", "tts"),
        ("ray::IDLE", "other Ray"),
        ("/x/python -u /x/ray/_private/log_monitor.py", "other Ray"),
        ("/x/python launch.py --config y", "launcher"),
        ("/x/python -m bench.systems.control --port 1", "server"),
    ],
)
def test_part_of(line: str, part: str) -> None:
    """A command line names its part."""
    assert part_of(line) == part


def test_cpu_between() -> None:
    """A process counts by what it spent since; one that began in between, from its start."""
    before = {(1, 1.0): Process("a", 5.0, 1.0), (2, 1.0): Process("b", 9.0, 1.0)}
    after = {(1, 1.0): Process("a", 7.0, 1.0), (2, 8.0): Process("b", 3.0, 1.0)}
    assert cpu_between(before, after) == {"a": 2.0, "b": 3.0}


def test_memory() -> None:
    """Memory adds up by part."""
    held = memory({(1, 1.0): Process("a", 0, 10.0), (2, 1.0): Process("a", 0, 5.0)})
    assert held == {"a": 15.0}
    assert total(held) == 15.0


def test_tree_has_children() -> None:
    """A snapshot holds the process and the children of its children, in sessions of their own."""
    child = "import sys; print(1, flush=True); sys.stdin.read()"
    parent = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]],"
        " start_new_session=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent, child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(snapshot(process.pid)) == 2
        process.communicate()
    assert snapshot(process.pid) == {}
