"""The judge: one question at a time in its thread, a bound on those that wait, no failure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from serve_app.pause_judge import MAX_WAITING, ThreadedJudge

PATIENCE_S = 5.0


class Listener:
    """An end-of-turn detector that answers when it may."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.entered = threading.Event()
        self.heard: list[bytes] = []
        self.threads: set[int] = set()
        self.fails = False

    def probability(self, pcm: bytes) -> float:
        """See EndOfTurnDetector."""
        self.threads.add(threading.get_ident())
        self.heard.append(pcm)
        self.entered.set()
        assert self.may_answer.wait(PATIENCE_S)
        if self.fails:
            raise RuntimeError("no")
        return len(pcm) / 10


@pytest.fixture
def listener() -> Listener:
    """The detector behind the judge."""
    return Listener()


@pytest.fixture
async def judge(listener: Listener) -> AsyncIterator[ThreadedJudge]:
    """A judge, closed at the end."""
    judge = ThreadedJudge(listener)
    yield judge
    listener.may_answer.set()
    judge.close()


async def begun(listener: Listener) -> None:
    """The detector is at work."""
    assert await asyncio.to_thread(listener.entered.wait, PATIENCE_S)


async def test_it_answers_off_the_loop(judge: ThreadedJudge, listener: Listener) -> None:
    """In one thread for all questions, which is not the loop's."""
    listener.may_answer.set()
    verdicts = await asyncio.gather(judge.judge(b"12"), judge.judge(b"1234"))
    assert verdicts == [0.2, 0.4]
    assert len(listener.threads) == 1
    assert threading.get_ident() not in listener.threads


async def test_overload_leaves_the_newest_without_a_verdict(
    judge: ThreadedJudge, listener: Listener
) -> None:
    """At once, while those before it still get theirs; then there is room again."""
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(judge.judge(b"1")) for _ in range(MAX_WAITING)]
        await begun(listener)
        assert await judge.judge(b"12") is None
        listener.may_answer.set()
    assert [task.result() for task in waiting] == [0.1] * MAX_WAITING
    assert await judge.judge(b"12") == 0.2


async def test_a_void_question_is_not_asked(judge: ThreadedJudge, listener: Listener) -> None:
    """One that still waits is dropped, and makes room."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(judge.judge(b"1"))
        await begun(listener)
        void = [tasks.create_task(judge.judge(b"22")) for _ in range(MAX_WAITING - 1)]
        await asyncio.sleep(0)
        for task in void:
            task.cancel()
        await asyncio.wait(void)
        last = tasks.create_task(judge.judge(b"333"))
        await asyncio.sleep(0)
        listener.may_answer.set()
    assert last.result() == 0.3
    assert listener.heard == [b"1", b"333"]


async def test_a_detector_that_fails_knows_nothing(
    judge: ThreadedJudge, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """The call goes on by the pause alone; the log has the reason; the next question is asked."""
    listener.may_answer.set()
    listener.fails = True
    assert await judge.judge(b"1") is None
    assert "RuntimeError: no" in caplog.text
    listener.fails = False
    assert await judge.judge(b"1") == 0.1
