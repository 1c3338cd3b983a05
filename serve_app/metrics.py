"""The ingress's metrics: name, buckets and meaning. Ray exports them, as `ray_<name>`.

`docs/observability.md` lists these and the stages' own. Labels take few values, all of them ours:
codes, classes and paths, never anything that a client wrote.
"""

from __future__ import annotations

from functools import cache

from ray.serve.metrics import Counter, Gauge, Histogram

from serve_app.conversation import announcements as say
from serve_app.conversation.patience import COMPLETE
from serve_app.errors import Stage
from serve_app.load import Shed

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
_FIRST_AUDIO_MS: list[float] = [
    100,
    200,
    300,
    400,
    500,
    600,
    700,
    800,
    1_000,
    1_200,
    1_500,
    2_000,
    3_000,
    5_000,
    10_000,
]
_CALL_S: list[float] = [5, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600]


class Metrics:
    """Every metric of the ingress, once a process."""

    def __init__(self) -> None:
        self.calls = Gauge("parley_calls", "Calls in progress.")
        self.lag_ms = Gauge(
            "parley_event_loop_lag_ms",
            "How late the ingress's event loop woke: 95 % of the last 5 s were no later.",
        )
        self.shed = Gauge(
            "parley_load_shed",
            "Done without: 0 nothing, 1 speculation, 2 partials, 3 judged pauses, 4 new calls too.",
        )
        self.begun = Counter(
            "parley_calls_begun_total", "Calls taken, by path.", tag_keys=("path",)
        )
        self.call_s = Histogram(
            "parley_call_s", "How long calls were.", boundaries=_CALL_S, tag_keys=("path",)
        )
        self.refused = Counter(
            "parley_calls_refused_total", "Calls refused before they began.", tag_keys=("code",)
        )
        self.turns = Counter("parley_turns_total", "Turns of callers that were transcribed.")
        self.replies = Counter("parley_replies_total", "Replies that ended.", tag_keys=("status",))
        self.resumed = Counter(
            "parley_replies_resumed_total",
            "Replies that went on after an interruption without words: false interruptions.",
        )
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
        self.came_back = Counter(
            "parley_conversations_resumed_total",
            "Clients that came back with a token.",
            tag_keys=("outcome",),
        )
        self.recordings = Counter(
            "parley_recordings_total",
            "Recordings of calls that ended, by what became of them.",
            tag_keys=("outcome",),
        )
        self.recordings_removed = Counter(
            "parley_recordings_removed_total", "Recordings removed, by why.", tag_keys=("why",)
        )
        self.stage_errors = Counter(
            "parley_stage_errors_total",
            "Requests that a stage failed, each try counted, by class.",
            # Ray's annotation says one key; it takes any number.
            tag_keys=("stage", "code"),  # pyright: ignore[reportArgumentType]
        )
        self.first_audio_ms = Histogram(
            "parley_first_audio_ms",
            "End of the caller's speech to the first audio sent.",
            boundaries=_FIRST_AUDIO_MS,
        )
        self.stage_ms = Histogram(
            "parley_stage_ms",
            "Time to a stage's first output: stt, llm, tts; pipeline is the end of turn to audio.",
            boundaries=_LATENCY_MS,
            tag_keys=("stage",),
        )


@cache
def _metrics() -> Metrics:
    """Made on first use, in the replica."""
    return Metrics()


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
        case say.ReplyResumed():
            metrics.resumed.inc()
        case say.TurnTimings(pause_ms=pause_ms, pipeline_ms=pipeline_ms):
            if pause_ms > 0:  # a typed turn has no pause
                metrics.first_audio_ms.observe(pause_ms + pipeline_ms)
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
    _metrics().came_back.inc(tags={"outcome": outcome})


def recorded(outcome: str) -> None:
    """A recording ended: `written`; `incomplete`, for lack of room in the queue; `failed`, by the
    disk; `withdrawn`; `erased` while it was written."""
    _metrics().recordings.inc(tags={"outcome": outcome})


def recording_removed(why: str) -> None:
    """A recording was removed: `expired`, `no_room`, `erased`."""
    _metrics().recordings_removed.inc(tags={"why": why})


def pause_judged(probability: float | None) -> None:
    """A pause was judged, or, with None, had to go without."""
    known = "complete" if probability is not None and probability > COMPLETE else "incomplete"
    _metrics().pauses.inc(tags={"verdict": "unknown" if probability is None else known})


def calls(count: int) -> None:
    """This many calls are in progress at this replica.

    Said again at each health check: Ray drops a gauge that was not set for 20 s.
    """
    _metrics().calls.set(count)


def load(lag_ms: float, shed: Shed) -> None:
    """How loaded this replica is; said again at each health check."""
    _metrics().lag_ms.set(lag_ms)
    _metrics().shed.set(shed.value)


def call_begun(path: str) -> None:
    """A call was taken."""
    _metrics().begun.inc(tags={"path": path})


def call_ended(path: str, lasted_s: float) -> None:
    """A call is over."""
    _metrics().call_s.observe(lasted_s, tags={"path": path})


def stage_failed(stage: Stage, code: str) -> None:
    """A try of a stage failed; `circuit_open`: it was not asked."""
    _metrics().stage_errors.inc(tags={"stage": stage, "code": code})
