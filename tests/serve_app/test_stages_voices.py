"""Registered voices as a call and the endpoint see them, over scripted handles."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ray.exceptions import ActorDiedError
from ray.serve.handle import DeploymentHandle

from deployments.contracts import BadInput, Cloning, StageInfo, Voice
from serve_app.errors import PeerError, StageLost, StageRefused
from serve_app.settings import StageSettings
from serve_app.stages import RayStages
from tests.fake_handles import FakeHandle, task_error

ANNA = Voice("anna", 1_700_000_000, 4.0)
CLONER = StageInfo("cloner", voices=("robot",), cloning=Cloning(min_s=3.0))


def stages_over(tts: FakeHandle) -> RayStages:
    """RayStages whose voice clones, warm."""
    handles = (FakeHandle(), FakeHandle(), tts)
    settings = StageSettings(backend="any")
    stages = RayStages(*((cast("DeploymentHandle[Any]", h), settings) for h in handles))  # type: ignore[arg-type]
    stages.info = {"stt": StageInfo("stt"), "llm": StageInfo("llm"), "tts": CLONER}
    return stages


async def test_a_voice_may_be_asked_for_as_soon_as_it_is_registered() -> None:
    """And no longer than it is: each check asks anew."""
    handle = FakeHandle(voices=[[()], [(ANNA,)], [()]])
    stages = stages_over(handle)
    with pytest.raises(PeerError, match="there is no 'anna' here"):
        await stages.check("anna", None)
    await stages.check("anna", None)
    with pytest.raises(PeerError, match="there is no 'anna' here"):
        await stages.check("anna", None)


async def test_a_models_own_voice_costs_no_question() -> None:
    """Nor does the default one."""
    handle = FakeHandle(voices=[[()]])
    for voice in (None, "robot"):
        await stages_over(handle).check(voice, None)
    assert handle.requests == []


async def test_a_voice_cannot_be_checked_while_the_stage_is_away() -> None:
    """The client's error is the stage's, and asks it to come again."""
    stages = stages_over(FakeHandle(voices=[ActorDiedError()]))
    with pytest.raises(PeerError) as caught:
        await stages.check("anna", None)
    assert (caught.value.code, caught.value.status) == ("stage_unavailable", 503)
    assert caught.value.close_code is None


async def test_what_the_stage_refuses_says_why() -> None:
    """The fault and its words cross Ray."""
    error = task_error(BadInput("a voice 'anna' is registered", "voice_exists"))
    stages = stages_over(FakeHandle(register_voice=[[error]]))
    with pytest.raises(StageRefused) as caught:
        await stages.register_voice("anna", b"wav", "")
    assert caught.value.fault == "voice_exists"
    assert caught.value.told == "a voice 'anna' is registered"


async def test_registering_is_not_tried_twice() -> None:
    """The first try may have been kept before the answer was lost."""
    handle = FakeHandle(register_voice=[ActorDiedError()], voices=[ActorDiedError(), [(ANNA,)]])
    stages = stages_over(handle)
    with pytest.raises(StageLost):
        await stages.register_voice("anna", b"wav", "")
    assert handle.requests == ["anna"]
    assert await stages.voices() == (ANNA,)


async def test_a_voice_is_deleted() -> None:
    """By its name."""
    handle = FakeHandle(delete_voice=[[None]])
    await stages_over(handle).delete_voice("anna")
    assert handle.requests == ["anna"]


def test_languages_that_may_be_asked_for() -> None:
    """Those that recogniser and voice share; one that takes any does not limit the other."""
    stages = RayStages.__new__(RayStages)
    for stt, tts, shared in (
        (("en",), ("de", "en"), ["en"]),
        ((), ("fr", "de"), ["de", "fr"]),
        (("en",), (), ["en"]),
        ((), (), []),
    ):
        stages.info = {"stt": StageInfo("a", languages=stt), "tts": StageInfo("b", languages=tts)}
        assert stages.languages() == shared
    stages.info = {}
    assert stages.languages() == []
