"""A graph whose model and voice write down every step they start: what cancelling must stop.

The shells, the ingress and Ray are the real ones; just the backends are made for the tests.
What a caller types steers them: `fail-first`, `fail-late`, `hang`, `mute` (no voice), else a
long answer. Times are of the machine's monotonic clock, one for all its processes.
"""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from ray import serve

from deployments.contracts import (
    AudioChunk,
    ReplyRequest,
    SpeechRequest,
    SpeechWindow,
    StageInfo,
    TextDelta,
    Transcript,
)
from deployments.llm import LanguageModelDeployment
from deployments.stt import SpeechToTextDeployment
from deployments.tts import TextToSpeechDeployment
from serve_app.ingress import Ingress
from serve_app.settings import Settings

STEPS_FILE = "PARLEY_TEST_STEPS"
RATE = 24_000
WORDS = ["this", "answer", "goes", "on", "and", "on"]


def note(stage: str) -> None:
    """One line: a step of `stage` starts now."""
    with Path(os.environ[STEPS_FILE]).open("a") as steps:
        steps.write(f"{stage} {time.monotonic()}\n")


class FixedStt:
    """Hears the same words in every window."""

    def load(self) -> StageInfo:
        """Nothing to load."""
        return StageInfo("fixed")

    def transcribe(self, windows: Sequence[SpeechWindow]) -> list[Transcript]:
        """The same for each."""
        return [Transcript("stop it please") for _ in windows]

    def close(self) -> None:
        """Nothing to free."""


class StepLlm:
    """A word every 15 ms, for 400 words; or what the caller's word asks for."""

    async def load(self) -> StageInfo:
        """Nothing to load."""
        return StageInfo("steps")

    async def reply(self, request: ReplyRequest) -> AsyncIterator[TextDelta]:
        """Each word is a step."""
        said = request.messages[-1].content
        if said == "fail-first":
            raise RuntimeError("asked to fail")
        if said == "hang":
            await asyncio.Event().wait()
        for count in range(400):
            note("llm")
            if said == "fail-late" and count == 9:
                raise RuntimeError("asked to fail late")
            stop = ". " if count % 8 == 7 else " "
            yield TextDelta(said + stop if said == "mute" else WORDS[count % len(WORDS)] + stop)
            await asyncio.sleep(0.015)

    async def close(self) -> None:
        """Nothing to free."""


class StepTts:
    """80 ms of a quiet tone every 20 ms, 60 ms of it a character."""

    running: ClassVar[int] = 0

    def load(self) -> StageInfo:
        """Nothing to load."""
        return StageInfo("steps")

    def speak(self, request: SpeechRequest) -> Iterator[AudioChunk]:
        """Each chunk is a step."""
        if "mute" in request.text:
            raise RuntimeError("asked to have no voice")
        for _ in range(max(1, len(request.text) * 60 // 80)):
            note("tts")
            threading.Event().wait(0.02)
            yield AudioChunk(b"\x40\x01" * (RATE * 80 // 1000), RATE)

    def close(self) -> None:
        """Nothing to free."""


class _Stt(SpeechToTextDeployment.func_or_class):
    def __init__(self) -> None:
        self.serve_backend(FixedStt())


class _Llm(LanguageModelDeployment.func_or_class):
    async def __init__(self) -> None:
        await self.serve_backend(StepLlm())


class _Tts(TextToSpeechDeployment.func_or_class):
    def __init__(self) -> None:
        self.serve_backend(StepTts())


def build(settings: Settings) -> serve.Application:
    """The same graph as the real builder's, over the backends above."""
    quick = {
        "max_ongoing_requests": 64,
        "health_check_period_s": 1,
        "ray_actor_options": {"num_cpus": 0.1},
    }
    return Ingress.options(max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.1}).bind(
        settings,
        serve.deployment(name="SpeechToText", **quick)(_Stt).bind(),
        serve.deployment(name="LanguageModel", **quick)(_Llm).bind(),
        serve.deployment(name="TextToSpeech", **quick)(_Tts).bind(),
    )
