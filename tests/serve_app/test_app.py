"""The builder: what it binds, what it refuses, and in which words."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydantic import ValidationError

from deployments import backends
from deployments.voices import VoiceStore
from serve_app.errors import ConfigError
from serve_app.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_app import app
    from serve_app.app import build

DRAINING = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
HARD_STOP = "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own environment chooses nothing here."""
    for name in ("STT_MODEL", "ASR_MODEL", "LLM_MODEL", "TTS_MODEL", "PARLEY_OVERRIDES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    monkeypatch.setenv(DRAINING, "3600")
    monkeypatch.setenv(HARD_STOP, "3600")


def settings(**changes: Any) -> Settings:
    """The timed backends, which need nothing installed, with changes."""
    stages: dict[str, Any] = {
        "stt": {"backend": "timed"},
        "llm": {"backend": "timed"},
        "tts": {"backend": "timed"},
    }
    return Settings.model_validate({**stages, **changes})


def bound(application: Any) -> dict[str, Any]:
    """The graph's deployments by name, each as (init args, options)."""
    ingress = application._bound_deployment
    stages = [arg._bound_deployment for arg in ingress.init_args[1:]]
    return {deployment.name: deployment for deployment in [ingress, *stages]}


def test_the_graph_is_three_stages_behind_an_ingress() -> None:
    """Each stage gets its backend and settings; the ingress gets the rest and their handles."""
    graph = bound(build(settings(llm={"backend": "timed", "settings": {"token_ms": 5}})))
    assert list(graph) == ["Ingress", "SpeechToText", "LanguageModel", "TextToSpeech"]
    assert graph["LanguageModel"].init_args == ("timed", {"token_ms": 5})
    assert graph["TextToSpeech"].init_args == ("timed", {}, VoiceStore())


def test_the_voice_is_told_where_registered_voices_are() -> None:
    """The directory and the Redis of the settings."""
    where = {"voices_dir": "/voices", "voices_redis_url": "redis://cache:6379/0"}
    graph = bound(build(settings(**where)))
    assert graph["TextToSpeech"].init_args[2] == VoiceStore("/voices", "redis://cache:6379/0")


def test_every_admitted_call_has_room_in_every_replica() -> None:
    """And a call that is refused has room to be told so."""
    graph = bound(build(settings(limits={"max_calls": 7})))
    assert {d.max_ongoing_requests for d in graph.values()} == {14}


def test_serves_own_proxy_has_a_lower_cap(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And a line says so, and names the fast command."""
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
    monkeypatch.setattr(app.log, "propagate", True)
    graph = bound(build(settings(limits={"max_calls": 40, "max_calls_default_proxy": 9})))
    assert graph["Ingress"].init_args[0].limits.max_calls == 9
    assert graph["Ingress"].max_ongoing_requests == 18
    assert "takes 9 calls at most. `make run`" in caplog.text
    graph = bound(build(settings(limits={"max_calls": 4})))
    assert graph["Ingress"].init_args[0].limits.max_calls == 4


@pytest.mark.parametrize(
    ("flags", "limits", "why"),
    [
        ({DRAINING: "1800"}, {}, f"limits.max_call_s is 3600, and {DRAINING} would cut"),
        ({HARD_STOP: "120"}, {}, f"limits.max_call_s is 3600, and {HARD_STOP} would cut"),
        ({}, {"max_call_s": 3601}, "limits.max_call_s is 3601"),
        (
            {DRAINING: "50"},
            {"max_call_s": 40, "drain_s": 46},
            f"limits.drain_s is 46, .* lower it to 45 or less, or raise {DRAINING}",
        ),
        ({DRAINING: "soon"}, {}, f"{DRAINING} is no number of seconds: soon"),
    ],
)
def test_what_the_fast_front_door_would_cut_is_refused(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, str], limits: dict[str, float], why: str
) -> None:
    """In one line that names both sides; Serve's own proxy cuts none of it."""
    for name, value in flags.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=why) as caught:
        build(settings(limits=limits))
    assert "\n" not in str(caught.value)
    if "soon" not in flags.values():
        monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
        build(settings(limits=limits))


def placed(**changes: Any) -> dict[str, Any]:
    """A stage on a share of a card."""
    return {"backend": "timed", "placement": {"num_gpus": 0.2, "num_cpus": 0.5, **changes}}


def test_a_placement_is_what_serve_is_told() -> None:
    """Shares, replicas and variables; a stage without one is left to `deployments:`."""
    tts = placed(replicas=2, env={"A": "1"})
    graph = bound(build(settings(tts=tts, stt=placed(max_replicas=3))))
    options = graph["TextToSpeech"].ray_actor_options
    assert options["num_gpus"] == 0.2
    assert options["num_cpus"] == 0.5
    assert options["runtime_env"] == {"env_vars": {"A": "1"}}
    assert graph["TextToSpeech"].num_replicas == 2
    assert graph["LanguageModel"].ray_actor_options.get("num_gpus", 0) == 0
    bounds = graph["SpeechToText"]._deployment_config.autoscaling_config
    assert (bounds.min_replicas, bounds.max_replicas) == (1, 3)


def test_a_stage_may_have_an_interpreter_of_its_own() -> None:
    """It is looked into first, and finds this project."""
    graph = bound(build(settings(tts=placed(python=sys.executable))))
    environment = graph["TextToSpeech"].ray_actor_options["runtime_env"]
    assert environment["py_executable"] == sys.executable
    assert environment["env_vars"]["PYTHONPATH"] == str(app.ROOT)
    with pytest.raises(ConfigError, match="no interpreter"):
        build(settings(tts=placed(python="no/such/python")))


def test_the_model_may_load_last() -> None:
    """It is told what to wait for: each stage's replicas."""
    graph = bound(build(settings(tts=placed(replicas=2), llm_loads_last=True)))
    assert graph["LanguageModel"].init_args[2] == {"SpeechToText": 1, "TextToSpeech": 2}


@pytest.mark.parametrize(
    ("nodes", "refused"), [([0.0], "cluster has none"), ([1.0], "does not fit"), ([2.0], None)]
)
def test_the_clusters_cards_are_counted(
    nodes: list[float], refused: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is placed. A node that died has no card."""
    ray = MagicMock()
    alive = [{"Alive": True, "Resources": {"GPU": gpus} if gpus else {}} for gpus in nodes]
    ray.nodes.return_value = [*alive, {"Alive": False, "Resources": {"GPU": 8.0}}]
    monkeypatch.setattr(app, "ray", ray)
    over = settings(tts=placed(num_gpus=0.6, replicas=2))
    if refused is None:
        build(over)
    else:
        with pytest.raises(ConfigError, match=refused):
            build(over)


def test_cards_may_be_given_time_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that grows its nodes has them a while later."""
    ray, clock = MagicMock(), MagicMock()
    none, one = [{"Alive": True, "Resources": {}}], [{"Alive": True, "Resources": {"GPU": 1.0}}]
    ray.nodes.side_effect = [none, none, one, one]
    monkeypatch.setattr(app, "ray", ray)
    monkeypatch.setattr(app, "time", clock)
    build(settings(tts=placed(), gpu_wait_s=60))
    assert clock.sleep.call_count == 2
    ray.nodes.side_effect = [none] * 4
    with pytest.raises(ConfigError, match="cluster has none"):
        build(settings(tts=placed(), gpu_wait_s=3))


def test_overrides_are_laid_over_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key by key; what is wrong in them is named."""
    path = tmp_path / "mine.yaml"
    monkeypatch.setenv("PARLEY_OVERRIDES", str(path))
    path.write_text("llm: {settings: {token_ms: 7}}\nlimits: {max_calls: 3}\n")
    llm = {"backend": "timed", "settings": {"first_token_ms": 5, "token_ms": 5}}
    graph = bound(build(settings(llm=llm)))
    assert graph["LanguageModel"].init_args == ("timed", {"first_token_ms": 5, "token_ms": 7})
    assert graph["Ingress"].init_args[0].limits.max_calls == 3
    path.write_text("llm: {setings: {}}")
    with pytest.raises(ConfigError, match=r"PARLEY_OVERRIDES: llm\.setings: "):
        build(settings())
    for wrong in ("- a", "a: ["):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=r"PARLEY_OVERRIDES: "):
            build(settings())
    path.unlink()
    with pytest.raises(ConfigError, match=r"PARLEY_OVERRIDES: .*mine"):
        build(settings())


def test_a_model_choice_replaces_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ingress is told of it too."""
    monkeypatch.setenv("LLM_MODEL", "echo")
    graph = bound(build(settings()))
    assert graph["LanguageModel"].init_args == ("echo", {})
    assert graph["Ingress"].init_args[0].llm.backend == "echo"
    assert graph["SpeechToText"].init_args == ("timed", {})


def test_a_hub_id_goes_to_the_configured_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its `model`."""
    monkeypatch.setenv("LLM_MODEL", "Qwen/Qwen2.5-1.5B-Instruct")
    llm = {"backend": "openai", "settings": {"base_url": "http://llm/v1", "model": "other"}}
    graph = bound(build(settings(llm=llm)))
    chosen = {"base_url": "http://llm/v1", "model": "Qwen/Qwen2.5-1.5B-Instruct"}
    assert graph["LanguageModel"].init_args == ("openai", chosen)


@pytest.mark.parametrize(
    ("changes", "choice", "words"),
    [
        ({"stt": {"backend": "ears"}}, None, ["unknown stt backend 'ears'", "timed"]),
        (
            {"llm": {"backend": "timed", "settings": {"tokn_ms": 5}}},
            None,
            ["unknown setting tokn_ms", "'timed'", "token_ms"],
        ),
        ({}, "no-such-model", ["'no-such-model'", "neither a preset", "takes no model"]),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    changes: dict[str, Any],
    choice: str | None,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It names what is wrong and what would be right."""
    if choice:
        monkeypatch.setenv("LLM_MODEL", choice)
    with pytest.raises(ConfigError) as caught:
        build(settings(**changes))
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a replica fails on it."""
    monkeypatch.setattr(backends, "find_spec", dict[str, None]().get)
    with pytest.raises(ConfigError, match="pip install"):
        build(settings(stt={"backend": "pocketsphinx"}))


def test_serve_makes_settings_of_the_yaml() -> None:
    """Serve reads the builder's annotation, and names the key that it does not know."""
    from ray.serve._private.api import call_user_app_builder_with_args_if_necessary as call

    args: dict[str, Any] = settings().model_dump()
    assert "Ingress" in bound(call(build, args))
    with pytest.raises(ValidationError, match=r"turn\.endpont_ms"):
        call(build, {**args, "turn": {"endpont_ms": 1}})
