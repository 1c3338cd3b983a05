"""The operator's settings: defaults, bounds, names of what is wrong, the environment."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from deployments.contracts import Tool
from serve_app.errors import ConfigError
from serve_app.settings import Settings, endpoints, model_choice

STAGES: dict[str, Any] = {stage: {"backend": "any"} for stage in ("stt", "llm", "tts")}


def test_three_backends_are_enough() -> None:
    """Everything else has a default."""
    settings = Settings.model_validate(STAGES)
    assert (settings.turn.end_of_turn, settings.limits.max_calls) == ("silence", 64)
    assert settings.stt.settings == {}


def test_backchannels_of_a_language_may_be_replaced() -> None:
    """Those of the others stay; the call's language goes with them."""
    turn = {"backchannels": {"en": ["roger"]}, "max_speculated_s": 4}
    settings = Settings.model_validate({**STAGES, "turn": turn})
    policy = settings.turn_policy(incremental=False, language="en")
    assert (policy.backchannels["en"], policy.language) == (("roger",), "en")
    assert "genau" in policy.backchannels["de"]
    assert policy.max_speculated_ms == 4_000


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
def test_a_stage_left_out_is_named(stage: str) -> None:
    """Which one is missing."""
    rest = {name: value for name, value in STAGES.items() if name != stage}
    with pytest.raises(ValidationError, match=f"{stage}\n.*Field required"):
        Settings.model_validate(rest)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"endpoint_ms": 300}, "endpoint_ms"),
        ({"turn": {"endpont_ms": 300}}, "turn.endpont_ms"),
        ({"limits": {"calls": 3}}, "limits.calls"),
        ({"stt": {"backend": "any", "model": "small"}}, "stt.model"),
    ],
)
def test_an_unknown_key_is_named(change: dict[str, Any], where: str) -> None:
    """With the way to it."""
    with pytest.raises(ValidationError, match=f"{where}\n.*not permitted"):
        Settings.model_validate({**STAGES, **change})


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"limits": {"max_calls": 0}}, "limits.max_calls"),
        ({"limits": {"idle_s": 0}}, "limits.idle_s"),
        ({"limits": {"send_timeout_s": float("nan")}}, "limits.send_timeout_s"),
        ({"turn": {"endpoint_ms": -1}}, "turn.endpoint_ms"),
        ({"turn": {"partial_every_ms": 10}}, "turn.partial_every_ms"),
        ({"turn": {"speculation": "on"}}, "turn.speculation"),
        ({"turn": {"vad": "none"}}, "turn.vad"),
        ({"turn": {"end_of_turn": "smart"}}, "turn.end_of_turn"),
        ({"turn": {"max_pause_ms": -1}}, "turn.max_pause_ms"),
        ({"llm": {"backend": "any", "first_s": 0}}, "llm.first_s"),
    ],
)
def test_a_value_that_cannot_work_is_named(change: dict[str, Any], where: str) -> None:
    """Before anything is started."""
    with pytest.raises(ValidationError, match=where):
        Settings.model_validate({**STAGES, **change})


def test_settings_do_not_change() -> None:
    """All replicas of a deployment have the same ones."""
    settings = Settings.model_validate(STAGES)
    with pytest.raises(ValidationError, match="frozen"):
        settings.voice = "b"  # pyright: ignore[reportAttributeAccessIssue]


def test_the_turn_policy_is_the_operators() -> None:
    """Every setting reaches the turn machine, seconds as milliseconds."""
    settings = Settings.model_validate(
        {
            **STAGES,
            "turn": {
                "endpoint_ms": 1,
                "min_interrupt_ms": 2,
                "resume_after_ms": 3,
                "partial_every_ms": 104,
                "max_turn_s": 5,
                "speculation": "reply",
                "max_pause_ms": 8,
                "spelling_pause_ms": 9,
            },
            "limits": {"idle_s": 6, "max_call_s": 7},
        }
    )
    policy = settings.turn_policy(incremental=True)
    assert (policy.endpoint_ms, policy.min_interrupt_ms, policy.resume_after_ms) == (1, 2, 3)
    assert (policy.partial_every_ms, policy.max_turn_ms) == (104, 5_000)
    assert (policy.idle_ms, policy.max_call_ms) == (6_000, 7_000)
    assert (policy.max_pause_ms, policy.spelling_pause_ms) == (8, 9)
    assert (policy.speculation, policy.incremental_stt) == ("reply", True)
    assert not settings.turn_policy(incremental=False).incremental_stt


@pytest.mark.parametrize(
    ("turn", "judged", "endpoint_ms"),
    [
        ({}, False, 500),
        ({"end_of_turn": "silence"}, False, 500),
        ({"end_of_turn": "smart-turn"}, True, 200),
        ({"end_of_turn": "energy"}, True, 200),
        ({"end_of_turn": "smart-turn", "endpoint_ms": 300}, True, 300),
        ({"endpoint_ms": 0}, False, 0),
    ],
)
def test_a_judged_pause_may_be_short(turn: dict[str, Any], judged: bool, endpoint_ms: int) -> None:
    """The endpoint's default depends on who decides; one that is set holds."""
    policy = Settings.model_validate({**STAGES, "turn": turn}).turn_policy(incremental=False)
    assert (policy.judged_pauses, policy.endpoint_ms) == (judged, endpoint_ms)


def test_the_machine_waits_until_every_retry_has_run_out() -> None:
    """Else it would give a reply up before the model's time-out could be apologised for."""
    times = {"first_s": 3, "next_s": 2}
    stages = {stage: {"backend": "any", **times} for stage in ("stt", "llm", "tts")}
    policy = Settings.model_validate(stages).turn_policy(incremental=False)
    assert policy.stage_timeout_ms > (2 * 3 + 2 + 2 * 3) * 1000
    stages["stt"]["first_s"] = 20
    policy = Settings.model_validate(stages).turn_policy(incremental=True)
    assert policy.stage_timeout_ms > 3 * 20 * 1000


@pytest.mark.parametrize(
    ("variable", "stage"),
    [("STT_MODEL", "stt"), ("ASR_MODEL", "stt"), ("LLM_MODEL", "llm"), ("TTS_MODEL", "tts")],
)
def test_the_environment_chooses_models(
    variable: str, stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One variable a stage, and an alias for speech-to-text."""
    for name in ("STT_MODEL", "ASR_MODEL", "LLM_MODEL", "TTS_MODEL"):
        monkeypatch.delenv(name, raising=False)
    assert model_choice(stage) is None
    monkeypatch.setenv(variable, " small.en ")
    assert model_choice(stage) == "small.en"
    others = {"stt", "llm", "tts"} - {stage}
    assert [model_choice(other) for other in others] == [None, None]  # type: ignore[arg-type]


def test_a_blank_variable_chooses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the first of two names counts."""
    monkeypatch.setenv("STT_MODEL", "  ")
    monkeypatch.setenv("ASR_MODEL", "b")
    assert model_choice("stt") == "b"
    monkeypatch.setenv("STT_MODEL", "a")
    assert model_choice("stt") == "a"


def test_keys_are_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings name their variables."""
    monkeypatch.setenv("TOKEN", "12345")
    monkeypatch.setenv("SIGNING", "secret")
    keys = Settings(
        **STAGES,
        public_origin="https://voice.example.org",
        twilio_auth_token_env="TOKEN",
        signing_key_env="SIGNING",
    ).keys()
    assert (keys.signing, keys.twilio_auth_token) == (b"secret", "12345")
    assert "secret" not in repr(keys)


def test_without_a_signing_key_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another each time."""
    monkeypatch.delenv("PARLEY_SIGNING_KEY", raising=False)
    settings = Settings(**STAGES)
    assert settings.keys().signing != settings.keys().signing
    assert settings.keys().twilio_auth_token is None


@pytest.mark.parametrize(
    ("token", "origin", "named"),
    [("", "https://voice.example.org", "set TOKEN"), ("12345", None, "public_origin")],
)
def test_a_token_that_cannot_be_checked_is_an_error(
    token: str, origin: str | None, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than a door left open."""
    monkeypatch.setenv("TOKEN", token)
    with pytest.raises(ConfigError, match=named):
        Settings(**STAGES, public_origin=origin, twilio_auth_token_env="TOKEN").keys()


WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "How it is outside.",
    "url": "https://weather.example/now",
}


def test_a_tool_is_told_to_the_machine_and_has_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model sees its schema, the server its address and the headers from the environment."""
    monkeypatch.setenv("WEATHER_KEY", "Bearer k")
    tool = {**WEATHER, "method": "GET", "headers_env": {"Authorization": "WEATHER_KEY"}}
    limits = {"max_tool_rounds": 2, "client_tool_s": 3, "max_tool_result_chars": 500}
    settings = Settings.model_validate({**STAGES, "tools": [tool], "limits": limits})
    policy = settings.turn_policy(incremental=False).tools
    schema = '{"type": "object", "properties": {}}'
    assert policy.own == (Tool("weather", "How it is outside.", schema),)
    assert (policy.max_rounds, policy.client_ms, policy.max_result_chars) == (2, 3_000, 500)
    [endpoint] = endpoints(settings.tools)
    assert (endpoint.url, endpoint.method) == ("https://weather.example/now", "GET")
    assert endpoint.headers == {"Authorization": "Bearer k"}


def test_a_tools_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool and the variable, in one line."""
    monkeypatch.delenv("WEATHER_KEY", raising=False)
    tool = {**WEATHER, "headers_env": {"Authorization": "WEATHER_KEY"}}
    settings = Settings.model_validate({**STAGES, "tools": [tool]})
    with pytest.raises(ConfigError, match="'weather' needs the environment variable WEATHER_KEY"):
        endpoints(settings.tools)


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        ([WEATHER, WEATHER], "two tools named weather"),
        ([{**WEATHER, "url": "file:///etc/passwd"}], "url"),
        ([{**WEATHER, "name": "the weather"}], "name"),
        ([{**WEATHER, "headers": {"Authorization": "secret"}}], "headers"),
    ],
)
def test_a_tool_that_cannot_be_is_named(tools: list[object], says: str) -> None:
    """Names that no model may use, addresses that are no web, keys in the configuration."""
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate({**STAGES, "tools": tools})
