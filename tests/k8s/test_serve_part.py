"""The Serve part of each overlay: a config of the repository, and what differs, nothing else."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from serve_app import gpu_plan
from serve_app.settings import Settings
from tests.k8s.manifests import OVERLAYS, ROOT, rendered, the

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from ray.serve.schema import ServeDeploySchema

_SPEC = importlib.util.spec_from_file_location("serve_part", ROOT / "k8s" / "serve_part.py")
assert _SPEC is not None
assert _SPEC.loader is not None
serve_part: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(serve_part)

CARDS = {"a100": 1, "scaled": 3, "cpu": 0}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What stands at the end of each path; items of a list go by their name, if they have one."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, (*path, str(key)))
    elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        for index, below in enumerate(value):
            yield from leaves(below, (*path, str(below.get("name", index))))
    else:
        yield path, value


def served(overlay: str) -> dict[str, Any]:
    """The Serve config in an overlay's rendered RayService."""
    service = the("RayService", rendered(f"overlays/{overlay}"))
    return yaml.safe_load(service["spec"]["serveConfigV2"])


def differences(overlay: str) -> dict[str, Any]:
    """What an overlay says that it changes."""
    directory = ROOT / "k8s" / "overlays" / overlay
    return yaml.safe_load((directory / "serve_differences.yaml").read_text())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_is_the_config_with_the_differences(overlay: str) -> None:
    """Path by path: what the overlay names is changed, all the rest is as in the config."""
    changed = differences(overlay)
    config = yaml.safe_load((ROOT / changed.pop("of")).read_text())
    assert dict(leaves(served(overlay))) == dict(leaves(config)) | dict(leaves(changed))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_patch_is_up_to_date(overlay: str) -> None:
    """After a change of a config or of the differences: `make k8s`."""
    directory = ROOT / "k8s" / "overlays" / overlay
    assert (directory / "serve.yaml").read_text() == serve_part.patch(directory)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_serve_and_the_settings_take_it(overlay: str) -> None:
    """Ray's own schema, ours, and a plan that fits the overlay's cards with room on each."""
    config = served(overlay)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        ServeDeploySchema.model_validate(config)
    assert config["http_options"]["host"] == "0.0.0.0"
    [application] = config["applications"]
    chosen = Settings.model_validate(application["args"])
    stages = {"stt": chosen.stt, "llm": chosen.llm, "tts": chosen.tts}
    placements = {name: stage.placement for name, stage in stages.items() if stage.placement}
    gpu_plan.check_fit(placements, [1.0] * CARDS[overlay])  # type: ignore[arg-type]


def test_each_card_of_the_scaled_graph_has_what_one_card_has() -> None:
    """Bounds a node, so that no card is filled with what belongs on another."""
    deployments = {d["name"]: d for d in served("scaled")["applications"][0]["deployments"]}
    args = served("scaled")["applications"][0]["args"]
    one = served("a100")["applications"][0]["args"]
    for name, stage in (("SpeechToText", "stt"), ("LanguageModel", "llm"), ("TextToSpeech", "tts")):
        on_one_card = one[stage].get("placement", {}).get("replicas", 1)
        assert deployments[name]["max_replicas_per_node"] == on_one_card
        assert args[stage]["placement"]["replicas"] == on_one_card * CARDS["scaled"]


def test_differences_must_name_what_is_there() -> None:
    """A misspelt deployment would change nothing, unseen."""
    with pytest.raises(ValueError, match="Ingres"):
        serve_part.laid_over([{"name": "Ingress"}], [{"name": "Ingres", "num_replicas": 2}])
