"""One call on a loaded replica: it goes without what can be spared, and with all the rest."""

from __future__ import annotations

import asyncio

from serve_app.conversation.policy import TurnPolicy
from serve_app.errors import StageOverloaded
from serve_app.load import LEAST_SAMPLES, Load, LoadLimits, Shed
from tests.fakes import FakeStages
from tests.open_call import open_call
from tests.virtual_time import in_virtual_time

SPECULATIVE = TurnPolicy(speculation="reply")


class LoadedTo(Load):
    """A load that never changes."""

    def __init__(self, shed: Shed) -> None:
        super().__init__()
        self._always = shed

    def shed(self, now: float) -> Shed:
        """See Load."""
        del now
        return self._always


class NobodyAsked:
    """A judge that must not be asked."""

    async def judge(self, pcm: bytes) -> float | None:
        """See PauseJudge."""
        raise AssertionError(f"asked about {len(pcm)} bytes")


@in_virtual_time
async def test_partials_go_under_load() -> None:
    """The turn is heard and answered as ever."""
    stages = FakeStages(partial=["hello"], finals=[["hello there"]])
    async with open_call(stages, load=LoadedTo(Shed.PARTIALS)) as call:
        await call.client.turn(1_280)
        done = await call.client.until("reply_done")
        assert call.client.errors == []
    assert stages.of("partial") == []
    assert done.fields["status"] == "completed"


@in_virtual_time
async def test_a_guess_is_not_answered_under_load() -> None:
    """Three pauses in a turn begin three replies on a calm replica, and one here."""
    for shed, begun in ((Shed.NOTHING, 3), (Shed.SPECULATION, 1)):
        stages = FakeStages(finals=[["one"], ["one two"], ["one two three"]])
        async with open_call(stages, SPECULATIVE, load=LoadedTo(shed)) as call:
            for _ in range(2):
                await call.client.speak(320)
                await call.client.be_silent(300)
            await call.client.turn()
            await call.client.until("reply_done")
        assert len(stages.of("llm")) == begun


@in_virtual_time
async def test_an_interruption_is_understood_under_any_load() -> None:
    """Over a reply words decide, and they come from partials."""
    stages = FakeStages(partial=["stop it"], finals=[["hello"], ["stop it please"]])
    async with open_call(stages, load=LoadedTo(Shed.NEW_CALLS)) as call:
        await call.client.turn()
        await call.client.until("reply_started")
        await call.client.speak(1_280)
        done = await call.client.until("reply_done")
        assert done.fields["status"] == "interrupted"
    assert stages.of("partial")


@in_virtual_time
async def test_pauses_are_not_judged_under_load() -> None:
    """Their length alone decides."""
    judged = TurnPolicy(endpoint_ms=200, judged_pauses=True)
    load = LoadedTo(Shed.JUDGED_PAUSES)
    async with open_call(FakeStages(), judged, judge=NobodyAsked(), load=load) as call:
        await call.client.turn()
        await call.client.until("reply_done")


@in_virtual_time
async def test_a_stage_without_room_closes_the_replica_to_new_calls() -> None:
    """The caller who felt it is told, and nobody else is let in for a while."""
    load = Load(LoadLimits())
    refused = StageOverloaded("llm", "full")
    stages = FakeStages(finals=[["hello"]], replies=[[refused], [refused]])
    async with open_call(stages, load=load) as call:
        await call.client.turn()
        error = await call.client.until("error")
        assert error.fields["code"] == "stage_overloaded"
        assert load.shed(asyncio.get_running_loop().time()) == Shed.NEW_CALLS


@in_virtual_time
async def test_a_calm_replica_does_without_nothing() -> None:
    """Partials are asked for although the load is measured."""
    load, stages = Load(), FakeStages(partial=["hello"], finals=[["hello there"]])
    for _ in range(LEAST_SAMPLES):
        load.woke_late(1.0, asyncio.get_running_loop().time())
    async with open_call(stages, load=load) as call:
        await call.client.turn(1_280)
        await call.client.until("reply_done")
    assert stages.of("partial")
