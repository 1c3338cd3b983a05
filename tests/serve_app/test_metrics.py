"""The metrics: what is counted of what clients are told."""

from __future__ import annotations

from unittest.mock import MagicMock, call

from ray.util.metrics import Metric

from serve_app import metrics
from serve_app.conversation import announcements as say


def test_turns_replies_and_errors_are_counted(no_metrics: MagicMock) -> None:
    """Each once, by what it was."""
    metrics.observe(say.FinalTranscript("hi", 0, 100))
    metrics.observe(say.ReplyDone("reply-1", "interrupted", ""))
    metrics.observe(say.CallError("stage_timeout", "sorry"))
    metrics.observe(say.ReplyText("reply-1", "hi"))
    assert no_metrics.mock_calls == [
        call.turns.inc(),
        call.replies.inc(tags={"status": "interrupted"}),
        call.errors.inc(tags={"code": "stage_timeout"}),
    ]


def test_the_time_to_a_stages_first_output(no_metrics: MagicMock) -> None:
    """Four stages of a spoken turn."""
    metrics.observe(say.TurnTimings("reply-1", 500, 30, 200, 100, 340))
    assert no_metrics.mock_calls == [
        call.stage_ms.observe(30, tags={"stage": "stt"}),
        call.stage_ms.observe(200, tags={"stage": "llm"}),
        call.stage_ms.observe(100, tags={"stage": "tts"}),
        call.stage_ms.observe(340, tags={"stage": "pipeline"}),
    ]


def test_a_typed_turn_has_no_transcript_to_time(no_metrics: MagicMock) -> None:
    """It must not make speech-to-text look fast."""
    metrics.observe(say.TurnTimings("reply-1", 0, 0, 200, 100, 340))
    stages = [entry.kwargs["tags"]["stage"] for entry in no_metrics.stage_ms.observe.mock_calls]
    assert stages == ["llm", "tts", "pipeline"]


def test_calls_and_refusals(no_metrics: MagicMock) -> None:
    """What the ingress says of itself."""
    metrics.calls(3)
    metrics.refused("at_capacity")
    assert no_metrics.mock_calls == [
        call.calls.set(3),
        call.refused.inc(tags={"code": "at_capacity"}),
    ]


def test_pauses_by_verdict(no_metrics: MagicMock) -> None:
    """More likely complete than not, the rest, and those that nobody judged."""
    for probability in (0.51, 0.5, None):
        metrics.pause_judged(probability)
    assert no_metrics.mock_calls == [
        call.pauses.inc(tags={"verdict": verdict})
        for verdict in ("complete", "incomplete", "unknown")
    ]


def test_the_waste_of_speculation(no_metrics: MagicMock) -> None:
    """Added up at the end of a call; a call without any adds nothing."""
    metrics.speculated(3, 1)
    metrics.speculated(0, 0)
    assert no_metrics.mock_calls == [
        call.speculative.inc(3, tags={"outcome": "started"}),
        call.speculative.inc(1, tags={"outcome": "dropped"}),
    ]


def test_ray_takes_every_metric() -> None:
    """Names, buckets and tags are such as Ray accepts, and no two are alike."""
    made = vars(metrics._Metrics()).values()  # pyright: ignore[reportPrivateUsage]
    assert all(isinstance(metric, Metric) for metric in made)
    names = [metric.info["name"] for metric in made]
    assert len(set(names)) == len(names) == 10
    assert all(name.startswith("parley_") for name in names)
