"""The loggers: below Serve's, with the ids of what a task works for."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
from ray._common.formatters import JSONFormatter

from deployments import logs

log = logs.logger("test_logs")


class Kept(logging.Handler):
    """Keeps what Serve's JSON encoding makes of each record."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, object]] = []
        self.setFormatter(JSONFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Encode it."""
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A handler of Serve's logger, which writes what replicas say."""
    handler = Kept()
    serve = logging.getLogger("ray.serve")
    level = serve.level
    serve.addHandler(handler)
    serve.setLevel(logging.INFO)
    yield handler
    serve.removeHandler(handler)
    serve.setLevel(level)


async def test_a_record_names_its_call_and_turn(kept: Kept) -> None:
    """Tasks have the ids of the task that started them, and keep their own to themselves."""

    async def turn(number: int) -> None:
        with logs.ids(turn_id=number):
            await asyncio.sleep(0)
            log.info("heard")

    async def call() -> None:
        with logs.ids(call_id="call-1"):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(turn(1))
                tasks.create_task(turn(2))
            log.info("ended", extra={"close_code": 1000})

    await asyncio.create_task(call())
    log.info("idle")
    ids = [
        {k: line[k] for k in ("call_id", "turn_id", "close_code") if k in line}
        for line in kept.lines
    ]
    assert ids == [
        {"call_id": "call-1", "turn_id": 1},
        {"call_id": "call-1", "turn_id": 2},
        {"call_id": "call-1", "close_code": 1000},
        {},
    ]
    assert [line["message"] for line in kept.lines] == ["heard", "heard", "ended", "idle"]
