"""Writes the Serve part of each overlay: a config of the repository and what a cluster changes.

    python k8s/serve_part.py

An overlay's `serve_differences.yaml` names its config (`of:`) and what is laid over it. The result
is `serve.yaml`, a patch of the RayService; it is committed, so that `kubectl apply -k` needs no
Python, and the tests fail where it is not what this script would write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).resolve().parent.parent
OVERLAYS = ROOT / "k8s" / "overlays"
HEADER = "# Made by k8s/serve_part.py of {config} and serve_differences.yaml; do not edit.\n"


class _Block(str):
    """A text that is written as a block, line by line."""


yaml.SafeDumper.add_representer(
    _Block,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"),
)


def laid_over(base: object, changes: object) -> object:
    """`changes` over `base`: mappings key by key, lists of named things by name, else replaced."""
    if isinstance(base, Mapping) and isinstance(changes, Mapping):
        old, new = cast(Mapping[str, object], base), cast(Mapping[str, object], changes)
        merged = {key: laid_over(old[key], new[key]) if key in new else old[key] for key in old}
        return merged | {key: new[key] for key in new if key not in old}
    if _named(base) and _named(changes):
        by_name = {item["name"]: item for item in cast(list[dict[str, Any]], changes)}
        items = [
            laid_over(item, by_name.get(item["name"], {}))
            for item in cast(list[dict[str, Any]], base)
        ]
        unknown = by_name.keys() - {item["name"] for item in cast(list[dict[str, Any]], base)}
        if unknown:
            raise ValueError(f"there is nothing named {', '.join(sorted(unknown))} to change")
        return items
    return changes


def _named(value: object) -> bool:
    """A list whose items go by name."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    items = cast(Sequence[object], value)
    return bool(items) and all(isinstance(item, Mapping) and "name" in item for item in items)


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
