"""A graph whose stages load slowly, one after the other, and write down when they have.

The shells, the builder's order of loading and Ray are the real ones. With `fail` in the voice's
settings its model cannot be fetched.
"""

import os
import time
from pathlib import Path

from ray import serve

from deployments.contracts import LoadFailed, StageInfo
from deployments.llm import LanguageModelDeployment
from deployments.loading import others_loaded
from deployments.stt import SpeechToTextDeployment
from deployments.tts import TextToSpeechDeployment
from serve_app.ingress import Ingress
from serve_app.settings import Settings
from tests.e2e.step_graph import STEPS_FILE, FixedStt, StepLlm, StepTts, note

STT_S, SECOND_VOICE_S = 0.5, 3.0
"""The second replica of the voice is the last, long after the first."""


class SlowStt(FixedStt):
    """Takes a moment."""

    def load(self) -> StageInfo:
        """Written down when it is done."""
        time.sleep(STT_S)
        note("stt")
        return super().load()


class SlowTts(StepTts):
    """The second one to begin takes long."""

    def __init__(self, *, fail: bool) -> None:
        self._fail = fail

    def load(self) -> StageInfo:
        """Written down when it is done."""
        if self._fail:
            raise LoadFailed("cannot fetch org/voice from the model hub")
        try:
            (Path(os.environ[STEPS_FILE]).parent / "first").touch(exist_ok=False)
        except FileExistsError:
            time.sleep(SECOND_VOICE_S)
        note("tts")
        return super().load()


class SlowLlm(StepLlm):
    """Written down when it begins."""

    async def load(self) -> StageInfo:
        """It begins."""
        note("llm")
        return await super().load()


class _Stt(SpeechToTextDeployment.func_or_class):
    def __init__(self) -> None:
        self.serve_backend(SlowStt())


class _Llm(LanguageModelDeployment.func_or_class):
    async def __init__(self) -> None:
        await others_loaded("llm", {"SpeechToText": 1, "TextToSpeech": 2})
        await self.serve_backend(SlowLlm())


class _Tts(TextToSpeechDeployment.func_or_class):
    def __init__(self, fail: bool) -> None:
        self.serve_backend(SlowTts(fail=fail))


def build(settings: Settings) -> serve.Application:
    """The graph, with two voices."""
    options = {"max_ongoing_requests": 64, "ray_actor_options": {"num_cpus": 0.1}}
    fail = bool(settings.tts.settings.get("fail"))
    return Ingress.options(**options).bind(
        settings,
        serve.deployment(name="SpeechToText", **options)(_Stt).bind(),
        serve.deployment(name="LanguageModel", **options)(_Llm).bind(),
        serve.deployment(name="TextToSpeech", num_replicas=2, **options)(_Tts).bind(fail),
    )
