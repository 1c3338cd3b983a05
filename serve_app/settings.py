"""Everything an operator may set, as one frozen model: the only reader of the environment.

`serve_config*.yaml` gives it as `args:`. An unknown key is an error that names the key.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, cast

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from deployments.contracts import Tool
from serve_app.access.origins import canonical
from serve_app.access.server_urls import checked
from serve_app.access.settings import AuthSettings
from serve_app.archive.settings import RecordingSettings
from serve_app.conversation.backchannel import WORDS
from serve_app.conversation.playout import PlayoutPolicy
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.tooling import ToolPolicy
from serve_app.dialects.routes import Keys
from serve_app.errors import ConfigError
from serve_app.front_door import FrontDoor, from_flags
from serve_app.load import LoadLimits
from serve_app.rest.limits import RestLimits
from serve_app.resume.store import ResumeSettings
from serve_app.tools import Endpoint

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Milliseconds = Annotated[int, Field(ge=0, le=600_000)]

SILENT_ENDPOINT_MS = 500
JUDGED_ENDPOINT_MS = 200

_OVERRIDES = {"stt": ("STT_MODEL", "ASR_MODEL"), "llm": ("LLM_MODEL",), "tts": ("TTS_MODEL",)}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Placement(_Frozen):
    """Where a stage's replicas run. It stands here and not in the config's `deployments:`, as
    the builder sees only `args`, and refuses what cannot fit; there, `ray_actor_options` would
    replace all of it.
    """

    replicas: Annotated[int, Field(ge=1)] = 1
    max_replicas: Annotated[int, Field(ge=1)] | None = None
    """Up to here replicas are added under load; by default there are always `replicas`."""
    num_cpus: Annotated[float, Field(ge=0)] = 1.0
    num_gpus: Annotated[float, Field(ge=0)] = 0.0
    """Of a card, for each replica: what Ray counts, not what the process is held to."""
    python: str | None = None
    """The interpreter, for a backend whose libraries have an environment of their own; a relative
    path starts at the repository."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the replicas."""

    @property
    def most_replicas(self) -> int:
        """How many there are under full load."""
        return max(self.replicas, self.max_replicas or 0)


class StageSettings(_Frozen):
    """Which backend serves a stage, its own settings, and how long a caller waits for it.

    `first_s`: for the transcript, the first text or the first audio. `next_s`: between pieces.
    """

    backend: str
    settings: dict[str, object] = Field(default_factory=dict)
    first_s: Seconds = 10.0
    next_s: Seconds = 10.0
    placement: Placement | None = None
    """By default as the config's `deployments:` have it."""


class ToolSettings(_Frozen):
    """An HTTP endpoint that the model may call (docs/tools.md).

    `headers_env`: by header the environment variable that holds it.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str
    parameters: dict[str, object] = Field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    url: Annotated[str, AfterValidator(lambda url: checked(url, query=True))]
    method: Literal["POST", "GET"] = "POST"
    headers_env: dict[str, str] = Field(default_factory=dict)
    timeout_s: Seconds = 10.0

    def declared(self) -> Tool:
        """What the model is told of it."""
        return Tool(self.name, self.description, json.dumps(self.parameters))


class TurnSettings(_Frozen):
    """Turn taking; the times are explained in `serve_app/conversation/policy.py`."""

    endpoint_ms: Milliseconds | None = None
    """By default 500 where the pause alone ends a turn, 200 where its sound is judged too."""
    end_of_turn: Literal["silence", "energy", "smart-turn"] = "silence"
    max_pause_ms: Milliseconds = 1_500
    spelling_pause_ms: Milliseconds = 1_200
    min_interrupt_ms: Milliseconds = 200
    resume_after_ms: Milliseconds = 1_500
    partial_every_ms: Annotated[int, Field(ge=100, le=60_000)] = 500
    max_turn_s: Seconds = 60.0
    answer_ms: Milliseconds = 1_000
    speculation: Literal["off", "llm", "reply"] = "off"
    max_speculated_s: Seconds = 15.0
    backchannels: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By language: instead of those in `serve_app/conversation/backchannel.py`; () is none."""
    echo_guard: bool = True
    """The agent's own voice, come back through the caller's microphone, interrupts nobody."""
    vad: Literal["silero", "energy"] = "silero"


class LimitSettings(_Frozen):
    """What one ingress replica accepts. A call past `max_calls` is refused at once."""

    max_calls: Annotated[int, Field(ge=1)] = 64
    max_calls_default_proxy: Annotated[int, Field(ge=1)] = 12
    """Where it is lower, in place of `max_calls` behind Serve's own proxy."""
    max_lag_ms: Milliseconds = 80
    """No call is taken while the event loop is later than that 5 % of the time; at a quarter of it
    nothing is begun on a guess, at half no partials are asked for, at three quarters no pause is
    judged."""
    max_voice_wait_ms: Milliseconds = 400
    """Nor while a first phrase would wait so long for a voice."""
    max_call_s: Seconds = 3_600.0
    drain_s: Seconds = 60.0
    """How long calls may go on at a replica that is to stop. Those that can come back are sent
    elsewhere in it, between two turns if they can; others go on for the whole grace period."""
    idle_s: Seconds = 300.0
    send_timeout_s: Seconds = 10.0
    retry_after_s: Annotated[int, Field(ge=1)] = 5
    max_tool_rounds: Annotated[int, Field(ge=1, le=20)] = 4
    """How often in one reply the model may call tools and go on."""
    max_tool_result_chars: Annotated[int, Field(ge=100, le=60_000)] = 4_000
    client_tool_s: Seconds = 15.0
    """How long a client may take to answer a tool call."""

    def load(self) -> LoadLimits:
        """At which load what is done without."""
        return LoadLimits(self.max_lag_ms, self.max_voice_wait_ms)


class Settings(_Frozen):
    """The whole configuration of the graph."""

    stt: StageSettings
    llm: StageSettings
    tts: StageSettings
    turn: TurnSettings = TurnSettings()
    limits: LimitSettings = LimitSettings()
    resume: ResumeSettings = ResumeSettings()
    rest: RestLimits = RestLimits()
    instructions: str = (
        "You are a voice assistant. Answer in one to three short spoken sentences, "
        "without lists or markup."
    )
    apology: str = "Sorry, something went wrong. Please say that again."
    voice: str | None = None
    language: str | None = None
    voices_dir: str = "~/.local/share/parley/voices"
    """Where registered voices are kept, on every machine that speaks; `~` is the user's home."""
    voices_redis_url: str | None = None
    """A Redis that keeps them instead, where several machines speak: `redis://host:6379/0`."""
    llm_loads_last: bool = False
    """The language model loads once the others have: vLLM counts what is free on the card then."""
    gpu_wait_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """How long GPUs that the plan needs may take to join; 0: they are there, or never will be."""
    public_origin: Annotated[str, AfterValidator(canonical)] | None = None
    """Where clients reach this server, `https://…`: what Twilio signs and is told to call."""
    twilio_auth_token_env: str | None = None
    """The environment variable with Twilio's token; with it, unsigned requests are refused."""
    signing_key_env: str = "PARLEY_SIGNING_KEY"
    """The environment variable that signs short-lived keys; without it a replica knows its own."""
    auth: AuthSettings = AuthSettings()
    recording: RecordingSettings | None = None
    """By default no call is recorded."""
    log_text: bool = False
    """What callers and the agent say goes to the log; else no word of it does."""
    vllm_urls: tuple[Annotated[str, AfterValidator(checked)], ...] = ()
    """Language model servers that a call may choose with `vllm_url`, each written in full."""
    tools: tuple[ToolSettings, ...] = ()

    @field_validator("tools")
    @classmethod
    def _named_once(cls, tools: tuple[ToolSettings, ...]) -> tuple[ToolSettings, ...]:
        names = [tool.name for tool in tools]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"there are two tools named {name}")
        return tools

    def turn_policy(
        self,
        *,
        incremental: bool,
        language: str | None = None,
        resumes: bool = True,
        paced: bool = True,
    ) -> TurnPolicy:
        """The turn machine's numbers; `incremental`: the recogniser keeps state."""
        turn, limits = self.turn, self.limits
        judged = turn.end_of_turn != "silence"
        endpoint_ms = JUDGED_ENDPOINT_MS if judged else SILENT_ENDPOINT_MS
        return TurnPolicy(
            endpoint_ms=endpoint_ms if turn.endpoint_ms is None else turn.endpoint_ms,
            judged_pauses=judged,
            max_pause_ms=turn.max_pause_ms,
            spelling_pause_ms=turn.spelling_pause_ms,
            speculation=turn.speculation,
            max_speculated_ms=round(turn.max_speculated_s * 1000),
            answer_ms=turn.answer_ms,
            language=language,
            backchannels={**WORDS, **turn.backchannels},
            partial_every_ms=turn.partial_every_ms,
            max_turn_ms=round(turn.max_turn_s * 1000),
            min_interrupt_ms=turn.min_interrupt_ms,
            resume_after_ms=turn.resume_after_ms,
            idle_ms=round(limits.idle_s * 1000),
            max_call_ms=round(limits.max_call_s * 1000),
            stage_timeout_ms=round((self._longest_wait_s() + 1) * 1000),
            incremental_stt=incremental,
            resumes=resumes,
            playout=PlayoutPolicy(paced=paced),
            tools=ToolPolicy(
                own=tuple(tool.declared() for tool in self.tools),
                max_rounds=limits.max_tool_rounds,
                client_ms=round(limits.client_tool_s * 1000),
                max_result_chars=limits.max_tool_result_chars,
            ),
        )

    def keys(self) -> Keys:
        """What proves who calls. Raises ConfigError where it is named and not there."""
        token = None
        if self.twilio_auth_token_env is not None:
            token = os.environ.get(self.twilio_auth_token_env)
            if not token:
                raise ConfigError(f"twilio_auth_token_env: set {self.twilio_auth_token_env}")
            if self.public_origin is None:
                raise ConfigError("twilio_auth_token_env needs public_origin: it is signed too")
        signing = os.environ.get(self.signing_key_env, "").encode() or secrets.token_bytes(32)
        return Keys(signing, token, self.public_origin)

    def _longest_wait_s(self) -> float:
        """When every stage's own time-outs and retries have run out, the apology's included."""
        transcript_s = 3 * self.stt.first_s
        first_sound_s = 2 * self.llm.first_s + self.llm.next_s + 2 * self.tts.first_s
        return max(transcript_s, first_sound_s)


def model_choice(stage: Literal["stt", "llm", "tts"]) -> str | None:
    """The model that the environment chooses for a stage, if any."""
    values = (os.environ.get(variable, "").strip() for variable in _OVERRIDES[stage])
    return next(filter(None, values), None)


def endpoints(tools: Sequence[ToolSettings]) -> list[Endpoint]:
    """The tools with their headers from the environment. Raises ConfigError where one is absent."""
    return [
        Endpoint(
            name=tool.name,
            url=tool.url,
            method=tool.method,
            headers={name: _header(tool, variable) for name, variable in tool.headers_env.items()},
            timeout_s=tool.timeout_s,
        )
        for tool in tools
    ]


def _header(tool: ToolSettings, variable: str) -> str:
    value = os.environ.get(variable)
    if value is None:
        raise ConfigError(f"tool {tool.name!r} needs the environment variable {variable}")
    return value


def with_overrides(settings: Settings) -> Settings:
    """The settings, with those of the file that PARLEY_OVERRIDES names laid over them.

    A mapping is merged key by key, anything else replaced. Raises OSError, YAMLError, and
    pydantic's ValidationError.
    """
    path = os.environ.get("PARLEY_OVERRIDES", "").strip()
    if not path:
        return settings
    changes = cast(object, yaml.safe_load(Path(path).read_text()))
    if not isinstance(changes, Mapping):
        raise ValueError(f"PARLEY_OVERRIDES: {path} is not a mapping of settings")
    merged = _merged(settings.model_dump(exclude_unset=True), cast(Mapping[str, object], changes))
    return Settings.model_validate(merged)


def _merged(base: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    merged = dict(base)
    for key, value in changes.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = _merged(cast(Mapping[str, object], under), cast(Mapping[str, object], value))
        merged[key] = value
    return merged


def front_door() -> FrontDoor:
    """What is in front: HAProxy, or Serve's own proxy. Raises ConfigError."""
    return from_flags(os.environ)
