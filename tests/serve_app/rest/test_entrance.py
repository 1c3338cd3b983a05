"""serve_app.rest.entrance: who is let in, and what is given back."""

from __future__ import annotations

import asyncio

from serve_app.load import LEAST_FORECASTS, Load
from tests.fakes import HANG
from tests.serve_app.rest.http_client import CHAT, SPEECH, connected, fault, transcribe
from tests.serve_app.rest.speech_stages import RestFakes


async def test_requests_at_once_are_bounded(stages: RestFakes) -> None:
    """The next is told when to come back; a client that leaves makes room."""
    begun = asyncio.Event()

    def answer(_: object) -> list[object]:
        begun.set()
        return [HANG]

    stages.fake.answer = answer
    async with connected(stages, rest={"at_once": 1}) as client:
        waiting = asyncio.create_task(client.post("/v1/chat/completions", json=CHAT))
        await begun.wait()
        refused = await client.post("/v1/audio/speech", json=SPEECH)
        assert fault(refused) == (429, "rate_limit_exceeded", None)
        assert (await client.get("/v1/models")).status_code == 200
        waiting.cancel()
        await asyncio.wait([waiting])
        assert stages.fake.running == []
        assert (await client.post("/v1/audio/speech", json=SPEECH)).status_code == 200


async def test_models_that_load(stages: RestFakes) -> None:
    """Every endpoint says so."""
    del stages.info["llm"]
    async with connected(stages) as client:
        assert fault(await client.get("/v1/models")) == (503, "not_ready", None)
        assert fault(await transcribe(client)) == (503, "not_ready", None)


async def test_a_recording_that_is_too_long(stages: RestFakes) -> None:
    """By the operator's limits, of time and of size."""
    async with connected(stages, rest={"max_audio_s": 0.5, "max_upload_mb": 1}) as client:
        assert fault(await transcribe(client)) == (413, "audio_too_long", "file")
        large = await client.post("/v1/speech-to-speech", content=bytes(1024 * 1024 + 1))
        assert fault(large) == (413, "upload_too_large", None)


async def test_calls_come_first(stages: RestFakes) -> None:
    """Where no more of them are taken, what nobody listens to is refused."""
    load, now = Load(), asyncio.get_running_loop().time()
    for _ in range(LEAST_FORECASTS):
        load.voice_would_wait(10_000.0, now)
    async with connected(stages, load) as client:
        assert fault(await transcribe(client)) == (503, "at_capacity", None)
        assert (await client.get("/v1/models")).status_code == 200
