"""What is applied to a cluster: each object by its schema, and what must hold between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from tests.k8s.manifests import OVERLAYS, ROOT, rendered, schema, the

KUBERNETES = "1.32"
RENDERED = (*(f"overlays/{name}" for name in OVERLAYS), "monitoring", "edge")
DEFINED_ELSEWHERE = {"RayService", "PodMonitor", "PrometheusRule"}


def pod_templates(service: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The head's and every worker group's."""
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]


def ray_service(overlay: str) -> dict[str, Any]:
    """An overlay's."""
    return the("RayService", rendered(f"overlays/{overlay}"))


def serve_env() -> dict[str, str]:
    """The flags of serve.env."""
    lines = (ROOT / "serve.env").read_text().splitlines()
    flags = (line for line in lines if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in flags)


@pytest.mark.parametrize("directory", RENDERED)
def test_every_object_is_valid(directory: str) -> None:
    """By Kubernetes' own schemas, strictly, or by those of its operator."""
    for made in rendered(directory):
        if made["kind"] in DEFINED_ELSEWHERE:
            jsonschema.validate(made, schema(made["kind"]))
        else:
            kubernetes_validate.validate(made, KUBERNETES, strict=True)
        if made["kind"] != "Namespace":
            assert made["metadata"]["namespace"] == "parley"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_misspelt_key_is_seen(overlay: str) -> None:
    """The operator would drop it without a word."""
    service = {**ray_service(overlay)}
    service["spec"] = {**service["spec"], "upgradeStrategi": {}}
    with pytest.raises(jsonschema.ValidationError, match="upgradeStrategi"):
        jsonschema.validate(service, schema("RayService"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_what_kubernetes_takes(overlay: str) -> None:
    """The pods inside the RayService, by the schema of pods: its definition leaves much open."""
    for template in pod_templates(ray_service(overlay)):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, **template}
        pod["metadata"] = {**template["metadata"], "name": "a"}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_head_and_workers_have_the_flags_of_serve_env(overlay: str) -> None:
    """All of them, as they are there, on both."""
    for template in pod_templates(ray_service(overlay)):
        [container] = template["spec"]["containers"]
        given = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert given.items() >= serve_env().items()
        flags = {name for name in given if name.startswith(("RAY_", "RAY_SERVE_"))}
        assert flags == set(serve_env())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_is_root(overlay: str) -> None:
    """What the namespace's label demands, in the pods of the operator's making too."""
    objects = rendered(f"overlays/{overlay}")
    assert the("Namespace", objects)["metadata"]["labels"][
        "pod-security.kubernetes.io/enforce"
    ] == ("restricted")
    templates = [*pod_templates(the("RayService", objects))]
    templates.append(the("StatefulSet", objects)["spec"]["template"])
    for template in templates:
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_referred_to_is_there(overlay: str) -> None:
    """Volumes, and the services and secrets by the names that docs/kubernetes.md creates."""
    objects = rendered(f"overlays/{overlay}")
    claims = {o["metadata"]["name"] for o in objects if o["kind"] == "PersistentVolumeClaim"}
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    for template in pod_templates(the("RayService", objects)):
        pod = template["spec"]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        mounted = {m["name"] for m in pod["containers"][0].get("volumeMounts", ())}
        assert mounted == set(volumes)
        for volume in volumes.values():
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in claims
            else:
                secret = volume["secret"]["secretName"]
                assert f"create secret generic {secret}" in page
        for entry in pod["containers"][0]["env"]:
            if key := entry.get("valueFrom", {}).get("secretKeyRef"):
                assert f"create secret generic {key['name']}" in page
                assert f"--from-literal={key['key']}=" in page
    redis = the("Service", objects, "parley-redis")
    options = the("RayService", objects)["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert options["redisAddress"] == f"parley-redis:{redis['spec']['ports'][0]['port']}"


def test_the_cards_are_asked_for() -> None:
    """Each worker of the graphs for cards has one whole card, and the head none."""
    for overlay, workers in (("a100", 1), ("scaled", 3)):
        head, worker = pod_templates(ray_service(overlay))
        group = ray_service(overlay)["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
        assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (workers,) * 3
        assert worker["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert "nvidia.com/gpu" not in head["spec"]["containers"][0]["resources"]["limits"]


def test_an_upgrade_takes_what_there_is() -> None:
    """No second cluster where there is no second card; the old one outlives the longest call."""
    longest_call_s = 3_600
    strategies = {o: ray_service(o)["spec"]["upgradeStrategy"]["type"] for o in OVERLAYS}
    assert strategies == {"a100": "None", "scaled": "NewCluster", "cpu": "NewCluster"}
    for overlay in OVERLAYS:
        assert ray_service(overlay)["spec"]["rayClusterDeletionDelaySeconds"] > longest_call_s
    disruption = the("PodDisruptionBudget", rendered("overlays/scaled"))["spec"]
    assert disruption["maxUnavailable"] == 1
    assert "minAvailable" not in disruption


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_policies_select_pods_that_exist(overlay: str) -> None:
    """By labels that our templates or the operator set."""
    objects = rendered(f"overlays/{overlay}")
    worker = [*pod_templates(the("RayService", objects))][1]["metadata"]["labels"]
    budget = the("PodDisruptionBudget", objects)["spec"]["selector"]["matchLabels"]
    assert budget.items() <= worker.items()
    redis = the("StatefulSet", objects)["spec"]["template"]["metadata"]["labels"]
    policy = the("NetworkPolicy", objects, "parley-redis")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= redis.items()
    assert the("NetworkPolicy", objects, "parley-nobody-by-default")["spec"]["podSelector"] == {}


def test_the_way_in_outlives_the_longest_call() -> None:
    """Every time-out of the Ingress is longer; it leads to the service of the RayService."""
    ingress = the("Ingress", rendered("edge"))
    waits = [
        int(value.removesuffix("s"))
        for name, value in ingress["metadata"]["annotations"].items()
        if "timeout" in name
    ]
    assert len(waits) == 4
    assert min(waits) > 3_600
    [rule] = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = ray_service("a100")["spec"]["serveService"]
    assert backend == {
        "name": service["metadata"]["name"],
        "port": {"number": service["spec"]["ports"][0]["port"]},
    }
