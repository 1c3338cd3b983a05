"""The metrics that the stages' replicas make themselves. Ray exports them, as `ray_<name>`.

A gauge that is not set again within 20 s is gone from Ray's export: the shells set theirs at each
health check.
"""

from __future__ import annotations

from functools import cache

from ray.serve.metrics import Counter, Gauge, Histogram

from deployments.contracts import SpeechCapacity, Urgency

WAIT_MS: list[float] = [1, 5, 10, 25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400]
WINDOW_MS: list[float] = [10, 25, 50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000]


class StageMetrics:
    """Every metric of the stages, once a process."""

    def __init__(self) -> None:
        self.window_ms = Histogram(
            "parley_stt_window_ms",
            "A window of speech at its recogniser: waiting and decoding.",
            boundaries=WINDOW_MS,
            tag_keys=("window",),
        )
        self.wait_ms = Histogram(
            "parley_tts_wait_ms",
            "A phrase's wait for its turn at the voice.",
            boundaries=WAIT_MS,
            tag_keys=("urgency",),
        )
        self.refused = Counter(
            "parley_stage_refused_total",
            "Work that a stage had no room for: partial transcripts, phrases.",
            tag_keys=("stage",),
        )
        self.unfinished = Gauge(
            "parley_llm_unfinished", "Replies that the model's engine holds, running or waiting."
        )
        self.running = Gauge("parley_tts_running", "Phrases being spoken at this replica.")
        self.waiting = Gauge("parley_tts_waiting", "Phrases that wait at this replica.")
        self.first_wait_ms = Gauge(
            "parley_tts_first_wait_ms", "How long a first phrase that came now would wait."
        )
        self.late_ms = Gauge(
            "parley_tts_late_ms",
            "Silence inside a reply that the queue will cause at worst; 0: it meets its deadlines.",
        )
        self.real_time_factor = Gauge(
            "parley_tts_real_time_factor", "Time to make a second of audio, in seconds."
        )


@cache
def _metrics() -> StageMetrics:
    """Made on first use, in the replica."""
    return StageMetrics()


def window_decoded(took_s: float, *, final: bool) -> None:
    """A window was transcribed."""
    tags = {"window": "final" if final else "partial"}
    _metrics().window_ms.observe(took_s * 1000, tags=tags)


def phrase_waited(waited_s: float, urgency: Urgency) -> None:
    """A phrase has its turn."""
    _metrics().wait_ms.observe(waited_s * 1000, tags={"urgency": urgency})


def refused(stage: str) -> None:
    """A stage had no room for a piece of work."""
    _metrics().refused.inc(tags={"stage": stage})


def unfinished(replies: int) -> None:
    """So many replies are in the model's engine."""
    _metrics().unfinished.set(replies)


def speech_capacity(capacity: SpeechCapacity) -> None:
    """What room a voice has now."""
    metrics = _metrics()
    metrics.running.set(capacity.running)
    metrics.waiting.set(capacity.waiting)
    metrics.first_wait_ms.set(capacity.first_wait_ms)
    metrics.late_ms.set(capacity.late_ms)
    metrics.real_time_factor.set(capacity.real_time_factor)
