"""CPU time and memory of a system: every process of its tree, sorted into named parts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import psutil

Parts: TypeAlias = dict[str, float]

_BY_WORD = (
    ("gcs_server", "gcs"),
    ("raylet/raylet", "raylet"),
    ("ServeController", "controller"),
    ("ProxyActor", "proxy"),
    ("HAProxyManager", "proxy"),
    ("haproxy", "proxy"),
    (":Ingress", "ingress"),
    (":SpeechToText", "stt"),
    (":LanguageModel", "llm"),
    (":TextToSpeech", "tts"),
    ("ray::", "other Ray"),
    ("/ray/", "other Ray"),
    ("launch.py", "launcher"),
    ("bench.systems.balancer", "balancer"),
)
"""The first word found in a command line names its part; Ray's own binaries come first."""


RAY_PARTS = ("gcs", "raylet", "controller", "proxy", "other Ray", "launcher")
"""What Ray needs beside the deployments themselves."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment: CPU time so far in s, proportional memory in MB."""

    part: str
    cpu_s: float
    memory_mb: float


Snapshot: TypeAlias = dict[tuple[int, float], Process]
"""By process id and start time, so that a reused id is another process."""


def snapshot(root: int) -> Snapshot:
    """The tree now. A process that ends meanwhile is left out."""
    found: Snapshot = {}
    for process in _tree(root):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            times = process.cpu_times()
            part = part_of(" ".join(process.cmdline()))
            memory_mb = process.memory_full_info().pss / 1e6
            key = (process.pid, process.create_time())
            found[key] = Process(part, times.user + times.system, memory_mb)
    return found


def part_of(command_line: str) -> str:
    """Which part of a system runs this command line."""
    for word, part in _BY_WORD:
        if word in command_line:
            return part
    return "server"


def cpu_between(before: Snapshot, after: Snapshot) -> Parts:
    """CPU seconds by part; a process that began in between counts from its start."""
    spent: Parts = {}
    for key, process in after.items():
        earlier = before[key].cpu_s if key in before else 0.0
        spent[process.part] = spent.get(process.part, 0.0) + process.cpu_s - earlier
    return spent


def memory(at: Snapshot) -> Parts:
    """Proportional memory in MB by part."""
    held: Parts = {}
    for process in at.values():
        held[process.part] = held.get(process.part, 0.0) + process.memory_mb
    return held


def total(parts: Mapping[str, float]) -> float:
    """All parts together."""
    return sum(parts.values())


def _tree(root: int) -> list[psutil.Process]:
    """The root, its descendants, and whoever else is in a session that one of these leads.

    Ray's workers and HAProxy may outlive their parents, but not leave the session.
    """
    try:
        top = psutil.Process(root)
        tree = {process.pid: process for process in [top, *top.children(recursive=True)]}
    except psutil.NoSuchProcess:
        return []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) in tree:
                tree.setdefault(process.pid, process)
    return list(tree.values())
