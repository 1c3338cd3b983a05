"""Builds the graph: the only file that binds deployments to each other."""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedClassDecorator=false

# No postponed annotations here: Serve reads the builder's to make `Settings` of the YAML's `args`.
import logging
import math
import time
from typing import Any, cast

import ray
import yaml
from pydantic import ValidationError
from ray import serve
from ray.serve.context import _get_global_client  # pyright: ignore[reportPrivateUsage]

from deployments import backends
from deployments.llm import LanguageModelDeployment
from deployments.stt import SpeechToTextDeployment
from deployments.tts import TextToSpeechDeployment
from deployments.voices import VoiceStore
from serve_app import gpu_plan
from serve_app.access import exposure
from serve_app.access.settings import from_environment
from serve_app.archive.settings import sealing_key
from serve_app.draining import check_budget
from serve_app.environments import ROOT, check_environment, interpreter
from serve_app.errors import ConfigError, Stage
from serve_app.front_door import FrontDoor
from serve_app.ingress import Ingress
from serve_app.settings import (
    LimitSettings,
    Placement,
    Settings,
    StageSettings,
    front_door,
    model_choice,
    with_overrides,
)

log = logging.getLogger("ray.serve")
"""Serve's own: `serve run` shows what is said here."""

MEMORY_SHARE = "gpu_memory_utilization"
"""The setting of vLLM that says how much of a card it takes."""

VOICE_SCALING = {
    "policy_function": "serve_app.autoscaling:ByLoadAndQueueAge",
    "policy_kwargs": {"per_replica": 2, "max_queue_age_ms": 200},
}
"""A voice with a phrase running and one waiting is busy; a first phrase should not wait longer."""

HEADROOM = 2
"""Slots of a replica per admitted call: a refusal needs one too, or its handshake hangs."""


def build(settings: Settings) -> serve.Application:
    """The whole graph. Raises ConfigError, in one line, where the plan cannot work."""
    settings = _overridden(settings)
    settings = settings.model_copy(update={"auth": from_environment(settings.auth)})
    exposure.check(_served_host(), settings.auth)
    door = front_door()
    _check_lives(settings.limits, door)
    if settings.recording:
        sealing_key(settings.recording)
    stt = _chosen("stt", settings.stt)
    llm = _chosen("llm", settings.llm)
    tts = _chosen("tts", settings.tts)
    _check_gpus({"stt": stt, "llm": llm, "tts": tts}, settings.gpu_wait_s)
    chosen = settings.model_copy(
        update={"stt": stt, "llm": llm, "tts": tts, "limits": _limits(settings.limits, door)}
    )
    slots = math.ceil(chosen.limits.max_calls * HEADROOM)
    after = [_loaded_first(stt, tts)] if settings.llm_loads_last else []
    return Ingress.options(max_ongoing_requests=slots).bind(
        chosen,
        SpeechToTextDeployment.options(**_options(stt, slots)).bind(stt.backend, stt.settings),
        LanguageModelDeployment.options(**_options(llm, slots)).bind(
            llm.backend, llm.settings, *after
        ),
        TextToSpeechDeployment.options(**_options(tts, slots, policy=VOICE_SCALING)).bind(
            tts.backend, tts.settings, VoiceStore(settings.voices_dir, settings.voices_redis_url)
        ),
    )


def _served_host() -> str | None:
    """Where Serve listens, which the builder is not told; None where it does not run yet."""
    if not ray.is_initialized():
        return None
    client: Any = _get_global_client(raise_if_no_controller_running=False)
    return None if client is None else client.http_config.host


def _overridden(settings: Settings) -> Settings:
    try:
        return with_overrides(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"PARLEY_OVERRIDES: {where}: {first['msg']}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"PARLEY_OVERRIDES: {' '.join(str(error).split())}") from error


def _chosen(stage: Stage, configured: StageSettings) -> StageSettings:
    """The stage as configured, or as its model-choice variable has it."""
    try:
        backend, settings = backends.choose(
            stage, configured.backend, configured.settings, model_choice(stage)
        )
        python = configured.placement.python if configured.placement else None
        if python is None:
            backends.check(stage, backend, settings)
        else:
            backends.check_settings(stage, backend, settings)
            check_environment(stage, python, backends.requires(stage, backend))
    except backends.BackendConfigError as error:
        raise ConfigError(str(error)) from error
    return configured.model_copy(update={"backend": backend, "settings": settings})


def _check_gpus(stages: dict[Stage, StageSettings], wait_s: float) -> None:
    """Raises ConfigError where the plan cannot fit the GPUs that the cluster has."""
    placements: dict[Stage, Placement] = {
        name: stage.placement for name, stage in stages.items() if stage.placement
    }
    gpu_plan.check_fractions(placements)
    for name, placement in placements.items():
        backend, given = stages[name].backend, stages[name].settings
        if backends.takes(name, backend, MEMORY_SHARE):
            gpu_plan.check_memory_share(name, placement.num_gpus, given.get(MEMORY_SHARE))
    if ray.is_initialized():
        for left_s in range(round(wait_s), 0, -1):
            try:
                gpu_plan.check_fit(placements, _gpus_by_node())
                break
            except ConfigError as error:
                log.warning("waiting %d s more for GPUs to join: %s", left_s, error)
                time.sleep(1)
        gpu_plan.check_fit(placements, _gpus_by_node())


def _gpus_by_node() -> list[float]:
    nodes = cast(list[dict[str, Any]], ray.nodes())
    return [node["Resources"].get("GPU", 0.0) for node in nodes if node["Alive"]]


def _check_lives(limits: LimitSettings, door: FrontDoor) -> None:
    """Raises ConfigError where the front door cuts calls that are to go on.

    Behind Serve's own proxy that is a setting of the Ingress in `deployments:`, which is not seen
    here: the ingress looks at it when it starts.
    """
    door.check_longest(limits.max_call_s)
    if door.fast:
        check_budget(limits.drain_s, door.draining_s, door.grace_setting)


def _limits(limits: LimitSettings, door: FrontDoor) -> LimitSettings:
    """As configured, but for what Serve's own proxy cannot carry."""
    if door.fast:
        return limits
    most = min(limits.max_calls, limits.max_calls_default_proxy)
    log.warning(
        "Serve's own proxy is in front: each ingress replica takes %d calls at most. "
        "`make run` starts the fast front door, whose flags are in serve.env",
        most,
    )
    return limits.model_copy(update={"max_calls": most})


def _options(stage: StageSettings, slots: int, **scaling: Any) -> dict[str, Any]:
    """How Serve runs a stage: its slots, and its placement where the settings have one.

    `scaling`: what decides between the bounds of its placement, in place of Serve's own policy.
    """
    options: dict[str, Any] = {"max_ongoing_requests": slots}
    if (placement := stage.placement) is None:
        return options
    options["ray_actor_options"] = _actor_options(placement)
    if placement.most_replicas == placement.replicas:
        return {**options, "num_replicas": placement.replicas}
    bounds = {"min_replicas": placement.replicas, "max_replicas": placement.most_replicas}
    return {**options, "autoscaling_config": {**bounds, **scaling}}


def _actor_options(placement: Placement) -> dict[str, Any]:
    environment: dict[str, Any] = {"env_vars": dict(placement.env)}
    if placement.python is not None:
        environment["py_executable"] = str(interpreter(placement.python))
        environment["env_vars"].setdefault("PYTHONPATH", str(ROOT))
    return {
        "num_cpus": placement.num_cpus,
        "num_gpus": placement.num_gpus,
        "runtime_env": environment,
    }


def _loaded_first(stt: StageSettings, tts: StageSettings) -> dict[str, int]:
    """The deployments that load before the language model, and how many replicas of each."""
    stages = {SpeechToTextDeployment.name: stt, TextToSpeechDeployment.name: tts}
    return {name: s.placement.replicas if s.placement else 1 for name, s in stages.items()}
