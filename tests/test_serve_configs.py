"""The config files of the project: what Serve, the settings and the backends make of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments import backends
from serve_app import gpu_plan, settings
from serve_app.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from ray.serve.schema import ServeDeploySchema

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = sorted(path.name for path in ROOT.glob("serve_config*.yaml"))
PLANS = sorted(f"plans/{path.name}" for path in ROOT.glob("plans/*.yaml"))
DEPLOYMENTS = {"Ingress", "SpeechToText", "LanguageModel", "TextToSpeech"}
STAGES: tuple[backends.Stage, ...] = ("stt", "llm", "tts")


def application(name: str) -> dict[str, Any]:
    """The one application of a config file."""
    [found] = yaml.safe_load((ROOT / name).read_text())["applications"]
    return found


def stages(chosen: Settings) -> dict[backends.Stage, settings.StageSettings]:
    """The stages by name."""
    return {"stt": chosen.stt, "llm": chosen.llm, "tts": chosen.tts}


def check_backends(chosen: Settings) -> None:
    """Every backend is there and knows every setting."""
    for name, stage in stages(chosen).items():
        backends.check_settings(name, stage.backend, stage.settings)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_one(name: str) -> None:
    """Serve takes it, no key is unknown, and no stage's placement is replaced unseen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        ServeDeploySchema.model_validate(yaml.safe_load((ROOT / name).read_text()))
    parts = application(name)
    chosen = Settings.model_validate(parts["args"])
    check_backends(chosen)
    overridden = {d["name"]: set(d) for d in parts["deployments"]}
    assert set(overridden) == DEPLOYMENTS
    names = dict(zip(("SpeechToText", "LanguageModel", "TextToSpeech"), STAGES, strict=True))
    for deployment, stage in names.items():
        if stages(chosen)[stage].placement is not None:
            assert not overridden[deployment] & {"ray_actor_options", "num_replicas"}


@pytest.mark.parametrize("plan", [None, *PLANS])
def test_a_plan_fits_one_card(plan: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what its overrides change; and vLLM stays within its share."""
    if plan is not None:
        monkeypatch.setenv("PARLEY_OVERRIDES", str(ROOT / plan))
    else:
        monkeypatch.delenv("PARLEY_OVERRIDES", raising=False)
    base = Settings.model_validate(application("serve_config.yaml")["args"])
    chosen = settings.with_overrides(base)
    check_backends(chosen)
    placements = {name: s.placement for name, s in stages(chosen).items() if s.placement}
    assert set(placements) == set(STAGES)
    gpu_plan.check_fractions(placements)
    gpu_plan.check_fit(placements, [1.0])
    share = chosen.llm.settings["gpu_memory_utilization"]
    gpu_plan.check_memory_share("llm", placements["llm"].num_gpus, share)
    assert chosen.llm_loads_last
    assert (plan is None) == (chosen == base)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "serve_config.yaml"])
def test_the_others_need_no_card(name: str) -> None:
    """On a cluster without one they are placed."""
    chosen = Settings.model_validate(application(name)["args"])
    placements = {n: s.placement for n, s in stages(chosen).items() if s.placement}
    gpu_plan.check_fit(placements, [])


def test_the_card_is_hidden_from_the_ingress() -> None:
    """A replica with no share of it would see it."""
    deployments = {d["name"]: d for d in application("serve_config.yaml")["deployments"]}
    variables = deployments["Ingress"]["ray_actor_options"]["runtime_env"]["env_vars"]
    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    assert all(
        d.get("max_surge_percent") == 0 for name, d in deployments.items() if name != "Ingress"
    )
