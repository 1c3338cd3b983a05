"""Writes the Serve part of each overlay: a config of the repository and what a cluster changes.

    python k8s/serve_part.py

An overlay's `serve_differences.yaml` names its config (`of:`) and what is laid over it. The result
is `serve.yaml`, a patch of the RayService; it is committed, so that `kubectl apply -k` needs no
Python, and the tests fail where it is not what this script would write.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard, cast

import yaml

ROOT = Path(__file__).resolve().parent.parent
OVERLAYS = ROOT / "k8s" / "overlays"
HEADER = "# Made by k8s/serve_part.py of {config} and serve_differences.yaml; do not edit.\n"


class _Block(str):
    """A text that is written as a block, line by line."""


def _as_block(dumper: Any, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")


yaml.SafeDumper.add_representer(_Block, _as_block)


def laid_over(base: object, changes: object) -> object:
    """`changes` over `base`: mappings key by key, lists of named things by name, else replaced.

    Raises ValueError where a change names what is not there.
    """
    if _is_mapping(base) and _is_mapping(changes):
        kept = {key: laid_over(base[key], changes.get(key, base[key])) for key in base}
        return kept | {key: value for key, value in changes.items() if key not in base}
    if _is_named(base) and _is_named(changes):
        by_name = {item["name"]: item for item in changes}
        if unknown := by_name.keys() - {item["name"] for item in base}:
            raise ValueError(f"there is nothing named {sorted(unknown)} to change")
        return [laid_over(item, by_name.get(item["name"], {})) for item in base]
    return changes


def _is_mapping(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _is_named(value: object) -> TypeGuard[list[dict[str, str]]]:
    """A list whose items go by name."""
    if not isinstance(value, list) or not value:
        return False
    return all(_is_mapping(item) and "name" in item for item in cast(list[object], value))


def patch(overlay: Path) -> str:
    """The text of an overlay's `serve.yaml`."""
    given = cast(dict[str, Any], yaml.safe_load((overlay / "serve_differences.yaml").read_text()))
    config: str = given.pop("of")
    served = laid_over(yaml.safe_load((ROOT / config).read_text()), given)
    text = yaml.safe_dump(served, sort_keys=False, width=100)
    made = {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": "parley"},
        "spec": {"serveConfigV2": _Block(text)},
    }
    return HEADER.format(config=config) + yaml.safe_dump(made, sort_keys=False, width=100)


def main() -> None:
    """Write every overlay's."""
    for differences in sorted(OVERLAYS.glob("*/serve_differences.yaml")):
        (differences.parent / "serve.yaml").write_text(patch(differences.parent))


if __name__ == "__main__":
    main()
