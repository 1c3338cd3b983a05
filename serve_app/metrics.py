"""Every metric's name, buckets and meaning. Ray exports them, as `ray_<name>`."""

from __future__ import annotations

from functools import cache

from ray.serve.metrics import Counter, Gauge, Histogram

from serve_app.conversation import announcements as say
from serve_app.conversation.patience import COMPLETE

_LATENCY_MS: list[float] = [
    25,
    50,
    100,
    150,
    200,
    300,
    400,
    600,
    800,
    1_000,
    1_500,
    2_000,
    4_000,
    8_000,
]


class _Metrics:
    def __init__(self) -> None:
        self.calls = Gauge("parley_calls", "Calls in progress.")
        self.refused = Counter(
            "parley_calls_refused_total", "Calls refused before they began.", tag_keys=("code",)
        )
        self.turns = Counter("parley_turns_total", "Turns of callers that were transcribed.")
        self.replies = Counter("parley_replies_total", "Replies that ended.", tag_keys=("status",))
        self.errors = Counter("parley_errors_total", "Errors told to clients.", tag_keys=("code",))
        self.pauses = Counter(
            "parley_pauses_judged_total",
            "Pauses by whether the turn sounded complete, incomplete, or unknown (overload).",
            tag_keys=("verdict",),
        )
        self.speculative = Counter(
            "parley_speculative_replies_total",
            "Replies begun before their turn was committed; those dropped were begun in vain.",
            tag_keys=("outcome",),
        )
        self.kept = Counter(
            "parley_conversations_kept_total",
            "Writes of conversations to where they can be resumed from.",
            tag_keys=("outcome",),
        )
        self.resumed = Counter(
            "parley_conversations_resumed_total",
            "Clients that came back with a token.",
            tag_keys=("outcome",),
        )
        self.stage_ms = Histogram(
            "parley_stage_ms",
            "Time to a stage's first output: stt, llm, tts; pipeline is the end of turn to audio.",
            boundaries=_LATENCY_MS,
            tag_keys=("stage",),
        )


@cache
def _metrics() -> _Metrics:
    """Made on first use: Ray refuses to make metrics outside a replica."""
    return _Metrics()


def observe(announcement: say.Announcement) -> None:
    """Count what a client is told."""
    metrics = _metrics()
    match announcement:
        case say.FinalTranscript():
            metrics.turns.inc()
        case say.ReplyDone(status=status):
            metrics.replies.inc(tags={"status": status})
        case say.CallError(code=code):
            metrics.errors.inc(tags={"code": code})
        case say.TurnTimings():
            for stage in ("stt", "llm", "tts", "pipeline"):
                spent_ms: float = getattr(announcement, f"{stage}_ms")
                if spent_ms > 0:  # a typed turn has no transcript
                    metrics.stage_ms.observe(spent_ms, tags={"stage": stage})
        case _:
            pass


def speculated(started: int, dropped: int) -> None:
    """A call began this many replies before their turns were committed; it dropped some."""
    for outcome, count in (("started", started), ("dropped", dropped)):
        if count:
            _metrics().speculative.inc(count, tags={"outcome": outcome})


def refused(code: str) -> None:
    """A call was refused."""
    _metrics().refused.inc(tags={"code": code})


def kept(outcome: str) -> None:
    """A conversation was `written`; or not: `failed`, `too_big`, `superseded`."""
    _metrics().kept.inc(tags={"outcome": outcome})


def resumed(outcome: str) -> None:
    """A client came back: `resumed`; the token is `unknown`; the store `failed`."""
    _metrics().resumed.inc(tags={"outcome": outcome})


def pause_judged(probability: float | None) -> None:
    """A pause was judged, or, with None, had to go without."""
    known = "complete" if probability is not None and probability > COMPLETE else "incomplete"
    _metrics().pauses.inc(tags={"verdict": "unknown" if probability is None else known})


def calls(count: int) -> None:
    """This many calls are in progress at this replica."""
    _metrics().calls.set(count)
