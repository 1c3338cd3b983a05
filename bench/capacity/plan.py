"""A number of calls in cards, cores, machines and bits. Arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.capacity.assumptions import PER_INGRESS, REPLY_S, TURN_S
from bench.capacity.measured import Measured

CALLS = (100, 1_000, 10_000)
PEAK = 1.15
"""The fullest minute of the busy hour, to its mean: assumed."""
HEADROOM = 0.1
"""Of what a card or a replica carries, left free: calls are not spread evenly. Assumed."""
CARDS_A_MACHINE = 8
CELL_CALLS = 1_000
"""Of one cluster: assumed, far below what Serve is run with, and what is lost with a head."""
CORE_BUSY = 0.7
UP_KBITS, DOWN_KBITS = 256.0, 384.0
"""PCM16: 16 kHz all the time upwards, 24 kHz while a reply is played downwards."""
OPUS_KBITS = 32.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What so many calls need; `clusters` are equal, and each can lose one machine."""

    calls: int
    peak_calls: int
    clusters: int
    cards: int
    machines: int
    voices: int
    ingress_replicas: int
    call_cores: float
    memory_gb: float
    pcm_gbits: float
    opus_gbits: float

    @property
    def cores_a_machine(self) -> float:
        """That ingress, handles and front door use, on the mean."""
        return self.call_cores / self.machines


def plan(
    calls: int,
    calls_a_card: float,
    voices_a_card: int,
    measured: Measured,
    *,
    cell_calls: int = CELL_CALLS,
) -> Plan:
    """Of machines with 8 cards each. Raises ValueError where a card carries no call."""
    if calls < 1 or calls_a_card <= 0 or voices_a_card < 1 or cell_calls < 1:
        raise ValueError("calls, calls a card, voices and calls a cell must be above 0")
    peak = math.ceil(calls * PEAK)
    clusters = math.ceil(calls / cell_calls)
    cell_peak = math.ceil(peak / clusters)
    needed = math.ceil(cell_peak / (calls_a_card * (1 - HEADROOM)))
    machines = (math.ceil(needed / CARDS_A_MACHINE) + 1) * clusters
    # An event loop may have no time for as many.
    carried = min(PER_INGRESS, calls_a_core(measured.cpu_s["ingress"]))
    ingresses = math.ceil(cell_peak / (carried * (1 - HEADROOM)))
    spoken = REPLY_S / TURN_S
    return Plan(
        calls=calls,
        peak_calls=peak,
        clusters=clusters,
        cards=machines * CARDS_A_MACHINE,
        machines=machines,
        voices=machines * CARDS_A_MACHINE * voices_a_card,
        ingress_replicas=ingresses * clusters,
        call_cores=peak * measured.cores_a_call / CORE_BUSY,
        memory_gb=peak * measured.call_mb / 1000,
        pcm_gbits=peak * (UP_KBITS + DOWN_KBITS * spoken) / 1e6,
        opus_gbits=peak * OPUS_KBITS * (1 + spoken) / 1e6,
    )


def calls_a_core(cpu_s: float) -> float:
    """Calls with which a part that takes so much CPU a call-minute keeps a core busy enough."""
    if cpu_s <= 0:
        raise ValueError("CPU seconds a call-minute must be above 0")
    return CORE_BUSY * 60 / cpu_s
