"""A graph whose model tells all that it was told, at two ingress replicas.

The shells, the ingress and Ray are the real ones; the backends are made for the test.
"""

from collections.abc import AsyncIterator

from ray import serve

from deployments.contracts import ReplyRequest, StageInfo, TextDelta
from deployments.llm import LanguageModelDeployment
from serve_app.ingress import Ingress
from serve_app.settings import Settings
from tests.e2e.step_graph import _Stt, _Tts


class Rememberer:
    """Says every turn of the caller's, in order."""

    async def load(self) -> StageInfo:
        """Nothing to load."""
        return StageInfo("rememberer")

    async def reply(self, request: ReplyRequest) -> AsyncIterator[TextDelta]:
        """One piece."""
        turns = [message.content for message in request.messages if message.role == "user"]
        yield TextDelta(f"You said {' and then '.join(turns)}.")

    async def close(self) -> None:
        """Nothing to free."""


class _Llm(LanguageModelDeployment.func_or_class):  # type: ignore[misc, name-defined]
    async def __init__(self) -> None:
        await self.serve_backend(Rememberer())


def build(settings: Settings) -> serve.Application:
    """The same graph as the real builder's, over the backends above."""
    small = {
        "max_ongoing_requests": 64,
        "max_surge_percent": 100,
        "ray_actor_options": {"num_cpus": 0.1},
    }
    return Ingress.options(num_replicas=2, health_check_period_s=1, **small).bind(
        settings,
        serve.deployment(name="SpeechToText", **small)(_Stt).bind(),
        serve.deployment(name="LanguageModel", **small)(_Llm).bind(),
        serve.deployment(name="TextToSpeech", **small)(_Tts).bind(),
    )
