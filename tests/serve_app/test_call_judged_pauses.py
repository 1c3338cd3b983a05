"""One call whose pauses are judged: who is asked, with which audio, and what comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from serve_app.conversation.policy import TurnPolicy
from tests.fakes import HANG, FakeStages
from tests.open_call import open_call
from tests.virtual_time import in_virtual_time

JUDGED = TurnPolicy(endpoint_ms=200, judged_pauses=True)


@dataclass(slots=True)
class ScriptedJudge:
    """PauseJudge by a list: the verdict of each question, HANG for none; each takes 75 ms."""

    verdicts: list[object]
    heard: list[bytes] = field(default_factory=list[bytes])
    given_up: int = 0

    async def judge(self, pcm: bytes) -> float | None:
        """See PauseJudge."""
        self.heard.append(pcm)
        verdict = self.verdicts[len(self.heard) - 1]
        try:
            await asyncio.sleep(3_600 if verdict is HANG else 0.075)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        assert verdict is None or isinstance(verdict, float)
        return verdict


@pytest.mark.parametrize(
    ("verdict", "pause_ms"), [(0.9, 224), (0.1, 1_504), (None, 512), (HANG, 512)]
)
@in_virtual_time
async def test_the_verdict_decides_how_long_the_pause_is(verdict: object, pause_ms: int) -> None:
    """Complete, incomplete, nobody can tell, no verdict in time."""
    judge = ScriptedJudge([verdict])
    async with open_call(FakeStages(finals=[[0.08, "hello there"]]), JUDGED, judge=judge) as call:
        await call.client.speak(640)
        spoken_at = asyncio.get_running_loop().time()
        await call.client.be_silent(1_600)
        stopped = await call.client.until("speech_stopped")
        await call.client.until("reply_done")
    assert stopped.at - spoken_at == pytest.approx(pause_ms / 1000, abs=0.001)
    # The turn up to the 64 ms of silence after which it was asked.
    assert [len(pcm) for pcm in judge.heard] == [704 * 32]
    assert judge.heard[0].endswith(bytes(64 * 32))


@in_virtual_time
async def test_a_question_is_void_when_the_caller_went_on() -> None:
    """The next pause's takes its place."""
    judge = ScriptedJudge([HANG, 0.9])
    async with open_call(FakeStages(finals=[[0.02, "hello"]]), JUDGED, judge=judge) as call:
        await call.client.speak(320)
        await call.client.be_silent(96)
        await call.client.speak(320)
        await call.client.be_silent(256)
        await call.client.until("speech_stopped")
        assert judge.given_up == 1
        await call.client.until("reply_done")
    assert len(call.client.of("final")) == 1


@in_virtual_time
async def test_a_call_that_ends_asks_no_more() -> None:
    """Nobody listens for a caller who hung up."""
    judge = ScriptedJudge([HANG])
    async with open_call(FakeStages(), JUDGED, judge=judge) as call:
        await call.client.speak(320)
        await call.client.be_silent(96)
        call.client.vanish()
        await call.over()
    assert judge.given_up == 1


@in_virtual_time
async def test_without_a_judge_nobody_can_tell() -> None:
    """A policy that wants verdicts gets none, and goes by the pause."""
    async with open_call(FakeStages(finals=[["hello"]]), JUDGED) as call:
        await call.client.speak(320)
        spoken_at = asyncio.get_running_loop().time()
        await call.client.be_silent(600)
        stopped = await call.client.until("speech_stopped")
    assert stopped.at - spoken_at == pytest.approx(0.512, abs=0.001)
