"""Builds the graph: the only file that binds deployments to each other."""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedClassDecorator=false

# No postponed annotations here: Serve reads the builder's to make `Settings` of the YAML's `args`.
import math

from ray import serve

from deployments import backends
from deployments.llm import LanguageModelDeployment
from deployments.stt import SpeechToTextDeployment
from deployments.tts import TextToSpeechDeployment
from deployments.voices import VoiceStore
from serve_app.errors import ConfigError, Stage
from serve_app.ingress import Ingress
from serve_app.settings import Settings, StageSettings, model_choice

HEADROOM = 2
"""Slots of a replica per admitted call: a refusal needs one too, or its handshake hangs."""


def build(settings: Settings) -> serve.Application:
    """The whole graph. Raises ConfigError, in one line, where the plan cannot work."""
    stt = _chosen("stt", settings.stt)
    llm = _chosen("llm", settings.llm)
    tts = _chosen("tts", settings.tts)
    chosen = settings.model_copy(update={"stt": stt, "llm": llm, "tts": tts})
    slots = math.ceil(settings.limits.max_calls * HEADROOM)
    return Ingress.options(max_ongoing_requests=slots).bind(
        chosen,
        SpeechToTextDeployment.options(max_ongoing_requests=slots).bind(stt.backend, stt.settings),
        LanguageModelDeployment.options(max_ongoing_requests=slots).bind(llm.backend, llm.settings),
        TextToSpeechDeployment.options(max_ongoing_requests=slots).bind(
            tts.backend, tts.settings, VoiceStore(settings.voices_dir, settings.voices_redis_url)
        ),
    )


def _chosen(stage: Stage, configured: StageSettings) -> StageSettings:
    """The stage as configured, or as its model-choice variable has it."""
    try:
        backend, settings = backends.choose(
            stage, configured.backend, configured.settings, model_choice(stage)
        )
        backends.check(stage, backend, settings)
    except backends.BackendConfigError as error:
        raise ConfigError(str(error)) from error
    return configured.model_copy(update={"backend": backend, "settings": settings})
