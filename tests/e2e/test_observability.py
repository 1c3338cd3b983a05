"""What an operator sees of a spoken turn on a real graph: spans, figures, records."""

import asyncio
import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from clients import events as told
from clients.sample_voice import speak
from tests.e2e.caller import calling
from tests.e2e.graph import ROOT, running
from tests.launcher.vacant import vacant_port
from tests.otlp_collector import Collector, Sent, collecting

pytestmark = pytest.mark.timeout(240)

QUESTION = "I want to talk about my mother"
SEEN_S = 60.0
"""Ray's figures take up to 15 s, a batch of spans 5 s."""


@dataclass(frozen=True)
class Watched:
    """A graph after one spoken turn, and all that is told of it."""

    call_id: str
    said: str
    collector: Collector
    metrics_url: str
    logs: Path

    def metrics(self) -> str:
        """What Prometheus would scrape."""
        with urllib.request.urlopen(self.metrics_url, timeout=5) as answer:
            return answer.read().decode()

    def records(self) -> list[dict[str, object]]:
        """Every record of every replica."""
        files = self.logs.rglob("replica_*.log")
        lines = [line for file in files for line in file.read_text().splitlines()]
        return [json.loads(line) for line in lines]


async def until(condition: Callable[[], object]) -> None:
    """Ask until it holds: what is exported comes when it comes."""
    async with asyncio.timeout(SEEN_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110  It is another process.
            await asyncio.sleep(0.5)


async def one_turn(url: str) -> tuple[str, str]:
    """The id of a call with one answered turn, and what it was answered."""
    async with calling(url, codec="pcm16", rate=16_000) as caller:
        ready = await caller.until_a(told.Ready)
        await caller.speak(speak(QUESTION, 16_000), 16_000)
        async with caller.listening(16_000):
            done = await caller.until_a(told.ReplyDone)
    return ready.call_id, done.heard


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The embedded graph, with everything on."""
    directory = tmp_path_factory.mktemp("watched")
    config = yaml.safe_load((ROOT / "serve_config.embedded.yaml").read_text())
    config["logging_config"] = {"encoding": "JSON", "logs_dir": str(directory / "logs")}
    (directory / "watched.yaml").write_text(yaml.safe_dump(config))
    port = vacant_port()
    with (
        collecting() as collector,
        running(
            directory / "watched.yaml",
            "fast",
            directory,
            more=["--metrics-port", str(port)],
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url},
        ) as graph,
    ):
        call_id, said = asyncio.run(one_turn(graph.url))
        url = f"http://127.0.0.1:{port}/metrics"
        yield Watched(call_id, said, collector, url, directory / "logs")


async def test_a_turn_is_one_trace_across_replicas(watched: Watched) -> None:
    """What the replicas did is below what the ingress waited for, in the turn's own trace."""

    def turn() -> Sent | None:
        return next((span for span in watched.collector.spans if span.name == "turn"), None)

    def names() -> set[tuple[str, str]]:
        found = turn()
        spans = [s for s in watched.collector.spans if found and s.trace_id == found.trace_id]
        by_id = {span.span_id: span.name for span in spans}
        return {(by_id.get(span.parent_id, ""), span.name) for span in spans}

    wanted = {
        ("", "turn"),
        ("turn", "stt transcribe"),
        ("stt transcribe", "stt.decode"),
        ("turn", "reply"),
        ("reply", "llm reply"),
        ("llm reply", "llm.write"),
        ("reply", "tts speak"),
        ("tts speak", "tts.wait"),
        ("tts speak", "tts.speak"),
    }
    await until(lambda: names() == wanted)
    found = turn()
    assert found is not None
    assert watched.call_id in found.attributes["parley.call_id"]
    assert "mother" not in repr(watched.collector.spans)


async def test_prometheus_finds_the_figures(watched: Watched) -> None:
    """Ours from the ingress and from two stages, and the lag of event loops from Ray."""
    wanted = (
        "ray_parley_calls{",
        "ray_parley_event_loop_lag_ms{",
        "ray_parley_calls_begun_total{",
        "ray_parley_first_audio_ms_bucket{",
        "ray_parley_stt_window_ms_bucket{",
        "ray_parley_tts_wait_ms_bucket{",
        "ray_parley_tts_late_ms{",
        "ray_serve_event_loop_scheduling_latency_ms_bucket{",
    )
    await until(lambda: all(name in watched.metrics() for name in wanted))
    series = [line for line in watched.metrics().splitlines() if line.startswith(wanted[2])]
    assert 'path="/ws"' in series[0]
    assert 'deployment="Ingress"' in series[0]


async def test_records_name_their_call(watched: Watched) -> None:
    """As JSON, from the call's begin to its end; stages by Serve's request id; no words."""

    def of_call() -> list[dict[str, object]]:
        return [r for r in watched.records() if r.get("call_id") == watched.call_id]

    def saying(word: str) -> list[dict[str, object]]:
        return [r for r in of_call() if str(r["message"]).endswith(word)]

    await until(lambda: saying("ended"))
    [began], [answered], [ended] = saying("began"), saying("answered"), saying("ended")
    whole = of_call()
    assert (whole[0], whole[-1]) == (began, ended), whole
    assert began["request_id"]
    assert answered["reply_id"] == "reply-1"
    assert float(str(answered["tts_ms"])) > 0
    assert ended["close_code"] == 1000
    text = "".join(path.read_text() for path in watched.logs.rglob("*.log"))
    assert "mother" not in text
    assert watched.said not in text
