"""What `kubectl apply -k` would apply: kustomizations rendered by the real tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
OVERLAYS = ("a100", "scaled", "cpu")
OLDEST = (5, 0)
"""Kustomize before this knows no directory among `resources`, or no `labels`."""


@cache
def renderer() -> list[str]:
    """A command that renders; a skip where there is none that is new enough."""
    found: list[str] = []
    if kubectl := shutil.which("kubectl"):
        told = subprocess.run(
            [kubectl, "version", "--client", "-o", "json"], capture_output=True, text=True
        )
        version = json.loads(told.stdout or "{}").get("kustomizeVersion", "")
        if _at_least_oldest(version):
            return [kubectl, "kustomize"]
        found.append(f"kubectl has kustomize {version or 'unknown'}")
    if kustomize := shutil.which("kustomize"):
        told = subprocess.run([kustomize, "version"], capture_output=True, text=True)
        if _at_least_oldest(told.stdout):
            return [kustomize, "build"]
        found.append(f"kustomize is {told.stdout.strip()}")
    pytest.skip(f"no kustomize {OLDEST[0]} or newer: {', '.join(found) or 'no kubectl'}")


def _at_least_oldest(version: str) -> bool:
    numbers = re.search(r"v(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= OLDEST


@cache
def rendered(directory: str) -> tuple[dict[str, Any], ...]:
    """Every object of a kustomization below k8s/."""
    command = [*renderer(), str(ROOT / "k8s" / directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def the(kind: str, objects: tuple[dict[str, Any], ...], name: str | None = None) -> dict[str, Any]:
    """The only object of a kind (and name)."""
    [found] = [
        made
        for made in objects
        if made["kind"] == kind and name in (None, made["metadata"]["name"])
    ]
    return found


def schema(kind: str) -> dict[str, Any]:
    """The schema of a kind that Kubernetes does not know; an unknown key is an error."""
    text = (Path(__file__).parent / "schemas" / f"{kind}.json").read_text()
    return _strict(json.loads(text))


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _strict(value) for key, value in node.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        if not made.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
        if set(made["properties"]) >= {"apiVersion", "kind", "metadata"}:
            made["properties"]["metadata"] = {"type": "object"}
    return made
