"""A graph whose voice clones, at two replicas: it says the recording itself, or silence.

The shells, the ingress and Ray are the real ones; just the backend is made for the test.
"""

import os
import wave
from collections.abc import Iterator

from ray import serve

from deployments.contracts import AudioChunk, Cloning, SpeechRequest, StageInfo
from deployments.llm import LanguageModelDeployment
from deployments.stt import SpeechToTextDeployment
from deployments.tts import TextToSpeechDeployment
from deployments.voices import VoiceStore
from serve_app.ingress import Ingress
from serve_app.settings import Settings

RATE = 24_000


class Parrot:
    """Half a second of the voice's recording for every phrase."""

    cloning = Cloning(min_s=3.0)

    def load(self) -> StageInfo:
        """Nothing to load."""
        return StageInfo("parrot", voices=("robot",))

    def speak(self, request: SpeechRequest) -> Iterator[AudioChunk]:
        """One chunk."""
        pcm = bytes(RATE)
        if request.recording is not None:
            with wave.open(request.recording) as file:
                file.setpos(RATE)  # A second in, somebody speaks.
                pcm = file.readframes(RATE // 2)
        yield AudioChunk(pcm, RATE)

    def close(self) -> None:
        """Nothing to free."""


class _Tts(TextToSpeechDeployment.func_or_class):  # type: ignore[misc, name-defined]
    def __init__(self, store: VoiceStore) -> None:
        self.serve_backend(Parrot(), store)


def build(settings: Settings) -> serve.Application:
    """The same graph as the real builder's, over the backend above and the timed ones."""
    small = {"max_ongoing_requests": 64, "ray_actor_options": {"num_cpus": 0.1}}
    store = VoiceStore(os.path.expanduser(settings.voices_dir))
    tts = serve.deployment(name="TextToSpeech", num_replicas=2, health_check_period_s=1, **small)(
        _Tts
    )
    return Ingress.options(**small).bind(
        settings,
        SpeechToTextDeployment.options(**small).bind("timed", {}),
        LanguageModelDeployment.options(**small).bind("echo", {}),
        tts.bind(store),
    )
