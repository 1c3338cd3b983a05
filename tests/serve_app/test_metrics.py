"""The metrics: what is counted of what clients are told."""

from __future__ import annotations

from unittest.mock import MagicMock, call

from ray.util.metrics import Counter, Metric

from deployments.stage_metrics import StageMetrics
from serve_app import metrics
from serve_app.conversation import announcements as say
from serve_app.load import Shed


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
    """Four stages of a spoken turn, and what its caller waited in all."""
    metrics.observe(say.TurnTimings("reply-1", 500, 30, 200, 100, 340))
    assert no_metrics.mock_calls == [
        call.first_audio_ms.observe(840),
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
    no_metrics.first_audio_ms.observe.assert_not_called()


def test_calls_and_refusals(no_metrics: MagicMock) -> None:
    """What the ingress says of itself."""
    metrics.calls(3)
    metrics.refused("at_capacity")
    metrics.call_begun("/ws")
    metrics.call_ended("/ws", 61.5)
    assert no_metrics.mock_calls == [
        call.calls.set(3),
        call.refused.inc(tags={"code": "at_capacity"}),
        call.begun.inc(tags={"path": "/ws"}),
        call.call_s.observe(61.5, tags={"path": "/ws"}),
    ]


def test_the_load_of_a_replica(no_metrics: MagicMock) -> None:
    """Its lag, and what it does without."""
    metrics.load(41.5, Shed.PARTIALS)
    assert no_metrics.mock_calls == [call.lag_ms.set(41.5), call.shed.set(2)]


def test_false_interruptions_and_failed_tries(no_metrics: MagicMock) -> None:
    """A reply that went on, and a stage that did not deliver."""
    metrics.observe(say.ReplyResumed("reply-1", 400))
    metrics.stage_failed("llm", "stage_timeout")
    assert no_metrics.mock_calls == [
        call.resumed.inc(),
        call.stage_errors.inc(tags={"stage": "llm", "code": "stage_timeout"}),
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
    made = [*vars(metrics.Metrics()).values(), *vars(StageMetrics()).values()]
    assert all(isinstance(metric, Metric) for metric in made)
    names = [metric.info["name"] for metric in made]
    assert len(set(names)) == len(names)
    assert all(name.startswith("parley_") for name in names)
    # Ray's exporter adds the suffix to any other counter.
    assert all(
        metric.info["name"].endswith("_total") for metric in made if isinstance(metric, Counter)
    )
