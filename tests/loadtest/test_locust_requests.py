"""Records as locust counts them."""

from __future__ import annotations

from loadtest.locust_requests import Request, requests_of
from loadtest.records import CameBack, Second
from tests.loadtest.made import LINE, run, turn, wrong


def test_a_turn_is_its_first_audio_itself_and_its_stages() -> None:
    """A typed one has no pause and no transcript."""
    spoken, typed = (requests_of(turn(1.0, 900.0, kind)) for kind in ("hung up on", "typed"))
    assert [(r.type, r.name, r.ms) for r in spoken[:3]] == [
        ("first audio", "spoken", 900.0),
        ("turn", "hung up on", 5_000.0),
        ("stage", "pause", 500.0),
    ]
    assert [r.name for r in typed] == ["typed", "typed", "llm", "tts", "pipeline"]


def test_failures_are_counted_by_class() -> None:
    """An unanswered turn once: its failure says it."""
    failed = [r for record in wrong() for r in requests_of(record) if r.failure]
    assert [(r.type, r.name) for r in failed] == [
        ("leak", "text"),
        ("error", "unanswered"),
        ("error", "unanswered"),
    ]


def test_the_rest_has_its_own_types() -> None:
    """What is no request of a caller counts as none."""
    types = {request.type for record in run() for request in requests_of(record)}
    assert types == {"connect", "call", "first audio", "turn", "stage", "barge-in"}
    assert requests_of(CameBack(1.0, 1, LINE, 40.0)) == [Request("connect", "after a cut", 40.0)]
    assert requests_of(Second(1.0, "a", 1, [], [])) == []
