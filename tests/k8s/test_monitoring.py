"""Dashboard and alerts: their expressions parse, and name what is exported, with its labels."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from ray.util.metrics import Counter, Gauge, Histogram, Metric

from deployments import process_metrics
from deployments.stage_metrics import StageMetrics
from serve_app.metrics import Metrics
from tests.k8s.manifests import ROOT, rendered, the

MONITORING = ROOT / "k8s" / "monitoring"
DASHBOARD = MONITORING / "grafana-dashboard.json"
ALERTS = MONITORING / "alerts.yaml"
KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
RAYS_LABELS = {"deployment", "replica", "application", "NodeAddress"}
RAYS = {
    "ray_serve_event_loop_scheduling_latency_ms_bucket": {"component", "deployment", "le"},
    "ray_node_gpus_utilization": {"NodeAddress", "GpuIndex"},
    "ray_node_gram_used": {"NodeAddress", "GpuIndex"},
    "ray_node_gram_available": {"NodeAddress", "GpuIndex"},
    "ray_node_cpu_utilization": {"NodeAddress"},
    "ray_node_mem_used": {"NodeAddress"},
    "ray_node_mem_total": {"NodeAddress"},
}
"""What Ray exports itself; `test_rays_own_metrics` looks whether it still does."""


def registered() -> list[Metric]:
    """Every metric of the code."""
    return [*vars(Metrics()).values(), *vars(StageMetrics()).values(), process_metrics.tasks()]


def exported() -> dict[str, set[str]]:
    """The series as Prometheus sees them, by name, with their labels."""
    series = dict(RAYS)
    for metric in registered():
        name, labels = f"ray_{metric.info['name']}", {*metric.info["tag_keys"], *RAYS_LABELS}
        if isinstance(metric, Histogram):
            series |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels}
        else:
            series[name] = labels
    return series


def dashboard_expressions() -> Iterator[str]:
    """Every panel's, with Grafana's own variable filled in."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "1m")


def alerts() -> list[dict[str, Any]]:
    """Every rule."""
    [group] = yaml.safe_load(ALERTS.read_text())["spec"]["groups"]
    return group["rules"]


def used(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The series that an expression reads, each with every label that is asked of it."""
    found: list[tuple[str, set[str]]] = []
    grouped: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append((str(node.name), {m.name for m in node.matchers.matchers}))
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouped.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit, None)
    for name, labels in found:
        yield name, labels | grouped


@pytest.mark.parametrize(
    "expression", [*dashboard_expressions(), *(rule["expr"] for rule in alerts())]
)
def test_an_expression_reads_what_is_exported(expression: str) -> None:
    """Names with Ray's prefix and suffixes, and labels that the series has."""
    known = exported()
    series = [*used(expression)]
    assert series
    for name, labels in series:
        assert name in known
        assert labels <= known[name]


def test_legends_name_labels_that_are_there() -> None:
    """A legend of a label that was summed away is empty."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            wanted = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            grouped = set(re.findall(r"by \(([^)]*)\)", target["expr"]))
            labels = {label.strip() for names in grouped for label in names.split(",")}
            if grouped:
                assert wanted <= labels


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    """What nobody looks at need not be measured."""
    shown = " ".join(dashboard_expressions())
    missing = [m.info["name"] for m in registered() if f"ray_{m.info['name']}" not in shown]
    assert missing == []


def test_rays_own_metrics() -> None:
    """The names that are taken from Ray are in its source."""
    import ray
    from ray.dashboard.modules.reporter import reporter_agent
    from ray.serve._private import event_loop_monitoring

    sources = (Path(str(reporter_agent.__file__)), Path(str(event_loop_monitoring.__file__)))
    text = "".join(path.read_text() for path in sources)
    assert ray.__version__ == "2.60.0"
    for name in RAYS:
        assert f'"{name.removeprefix("ray_").removesuffix("_bucket")}"' in text


def test_the_dashboard_is_delivered() -> None:
    """As a ConfigMap with the label by which Grafana finds it, and it is what the file says."""
    made = the("ConfigMap", rendered("monitoring"))
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert made["data"]["grafana-dashboard.json"] == DASHBOARD.read_text()


def test_what_is_scraped_is_open() -> None:
    """The ports of the PodMonitor are named in the pods and let through by the policy."""
    monitor = the("PodMonitor", rendered("monitoring"))["spec"]
    objects = rendered("overlays/a100")
    cluster = the("RayService", objects)["spec"]["rayClusterConfig"]
    template = cluster["workerGroupSpecs"][0]["template"]
    ports = {p["name"]: p["containerPort"] for p in template["spec"]["containers"][0]["ports"]}
    scraped = {ports[endpoint["port"]] for endpoint in monitor["podMetricsEndpoints"]}
    policy = the("NetworkPolicy", objects, "parley-ray")["spec"]["ingress"]
    open_ = {port["port"] for rule in policy for port in rule.get("ports", ())}
    assert scraped <= open_
    labels = template["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """Prometheus' own tool runs the recorded series of alerts.test.yaml."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (on Debian: apt install prometheus)")
    # The tool reads a plain rules file, not the operator's object around it.
    (tmp_path / "alerts.yaml").write_text(
        yaml.safe_dump(yaml.safe_load(ALERTS.read_text())["spec"])
    )
    test = Path(__file__).parent / "alerts.test.yaml"
    shutil.copy(test, tmp_path)
    command = [promtool, "test", "rules", test.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_explained() -> None:
    """A series for each, and a line that says what to do."""
    names = {rule["alert"] for rule in alerts()}
    tested = yaml.safe_load((Path(__file__).parent / "alerts.test.yaml").read_text())["tests"]
    assert {t["alertname"] for test in tested for t in test["alert_rule_test"]} == names
    page = (ROOT / "docs" / "observability.md").read_text()
    assert set(re.findall(r"^\| `(Parley\w+)` \|", page, re.MULTILINE)) == names


def test_the_page_lists_every_metric() -> None:
    """With its kind, labels and meaning as the code has them, and a unit."""
    page = (ROOT / "docs" / "observability.md").read_text()
    rows = re.findall(
        r"^\| `(parley_\w+)` \| (\w+) \| ([^|]+) \| ([^|]*) \| ([^|]+) \|$", page, re.MULTILINE
    )
    told = {name: (kind, labels, meaning) for name, kind, _, labels, meaning in rows}
    in_code = {
        m.info["name"]: (
            next(kind for made, kind in KINDS.items() if isinstance(m, made)),
            ", ".join(f"`{key}`" for key in m.info["tag_keys"]),
            m.info["description"],
        )
        for m in registered()
    }
    assert told == in_code
    units = {name: unit for name, _, unit, _, _ in rows}
    for name, unit in units.items():
        assert (unit == "ms") == name.endswith("_ms")
        assert (unit == "s") == name.endswith("_s")
