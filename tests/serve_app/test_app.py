"""The builder: what it binds, what it refuses, and in which words."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from pydantic import ValidationError

from deployments import backends
from deployments.voices import VoiceStore
from serve_app.errors import ConfigError
from serve_app.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_app.app import build


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own environment chooses nothing here."""
    for name in ("STT_MODEL", "ASR_MODEL", "LLM_MODEL", "TTS_MODEL"):
        monkeypatch.delenv(name, raising=False)


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
