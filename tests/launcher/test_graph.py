"""What a graph that starts tells, and what is said of one that does not."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from launcher import graph

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from deployments import progress


def test_what_the_graph_reports_is_read_back(tmp_path: Path) -> None:
    """Nothing before the first report; then the last one."""
    assert graph.reported(tmp_path) == {}
    graph.report(tmp_path, {"Ray": "up"})
    graph.report(tmp_path, {"Ray": "up", "SpeechToText": "updating"})
    assert graph.reported(tmp_path) == {"Ray": "up", "SpeechToText": "updating"}


def test_explain_says_a_refusal_alone() -> None:
    """What the builder refuses needs no traceback."""
    refused = "Traceback\n  File x\nserve_app.errors.ConfigError: this plan needs: a GPU\nlater\n"
    assert graph.explain(refused) == "this plan needs: a GPU"


def a_status(state: str, **deployments: str) -> Any:
    """Serve's status of one application."""
    parts = {n: SimpleNamespace(status=s, message=f"{n} said") for n, s in deployments.items()}
    application = SimpleNamespace(
        status=SimpleNamespace(value=state), message="", deployments=parts
    )
    return SimpleNamespace(applications={"parley": application})


@pytest.mark.parametrize(
    ("state", "told", "settled", "failure"),
    [
        ("DEPLOYING", {"tts": "loading"}, False, None),
        ("RUNNING", {}, True, None),
        ("DEPLOY_FAILED", {}, True, "Ingress said"),
        ("DEPLOYING", {"tts": "failed: no file"}, True, f"tts: no file. {graph.NEEDS_NOTHING}"),
    ],
)
def test_a_graph_is_watched_until_it_runs_or_cannot(
    tmp_path: Path, state: str, told: dict[str, str], settled: bool, failure: str | None
) -> None:
    """What its stages tell is passed on; a stage that cannot load ends it at once."""
    source = SimpleNamespace(told=lambda _name: told, reason=progress.reason)
    assert graph._settled(a_status(state, Ingress="UPDATING"), source, tmp_path) is settled
    assert graph.reported(tmp_path) == {"Ray": "up", "Ingress": "updating"} | told
    said = tmp_path / graph.FAILURE
    assert (graph.explain(said.read_text()) if said.exists() else None) in (
        failure,
        f"the graph ended: {failure}\n  {failure}",
    )


def test_explain_leads_with_the_exception() -> None:
    """The first line says why; colours and the lines before the end are cut."""
    text = (
        "noise\n" * 100 + "\x1b[36mTraceback\x1b[0m\n  File x\npkg.BadPlan: two GPUs: no\n\nlater\n"
    )
    lines = graph.explain(text).splitlines()
    assert lines[0] == "the graph ended: pkg.BadPlan: two GPUs: no"
    assert len(lines) == 1 + graph.LOG_TAIL_LINES
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"), [("", "no output"), ("just this\n", "just this"), ("a b: c\n", "a b: c")]
)
def test_explain_without_an_exception_gives_the_last_line(text: str, reason: str) -> None:
    """Something is always said."""
    assert graph.explain(text).splitlines()[0] == f"the graph ended: {reason}"
