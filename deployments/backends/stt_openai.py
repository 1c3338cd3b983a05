"""Any server that speaks OpenAI's transcription protocol: OpenAI itself, Groq, speaches, vLLM."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from deployments import openai_client
from deployments.backends import register
from deployments.contracts import (
    SPEECH_RATE,
    BadInput,
    SpeechWindow,
    StageInfo,
    Transcript,
)
from deployments.language_tags import primary_language
from deployments.speech import (
    SHORTEST_S,
    Guards,
    Guess,
    duration_s,
    wants_words,
    was_taught_translation,
    words_in_order,
)

if TYPE_CHECKING:
    from openai.types.audio import TranscriptionSegment, TranscriptionVerbose, TranslationVerbose


@register(
    "stt",
    "openai",
    presets={
        "groq": {
            "model": "whisper-large-v3-turbo",
            "base_url": "https://api.groq.com/openai/v1",
            "api_key_env": "GROQ_API_KEY",
        }
    },
)
class OpenAI:
    """Sends each window to `model` at `base_url` (None: OpenAI's own), partials too.

    The key is read from the environment variable that `api_key_env` names; an empty name sends
    none. `language` None: the server detects it. `word_times` asks for the times of words
    (`verbose_json`), which Whisper models have and gpt-4o-transcribe has not. `timeout_s` bounds
    the wait for a connection and for the answer.
    """

    requires: ClassVar[tuple[str, ...]] = ("openai",)

    def __init__(
        self,
        *,
        model: str = "whisper-1",
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        language: str | None = None,
        word_times: bool = True,
        timeout_s: float = 10.0,
        no_speech_threshold: float = 0.6,
        log_prob_threshold: float = -1.0,
        compression_ratio_threshold: float = 2.4,
    ) -> None:
        self._model = model
        self._base_url = base_url
        self._api_key_env = api_key_env
        self._language = language
        self._word_times = word_times
        self._timeout_s = timeout_s
        self._guards = Guards(no_speech_threshold, log_prob_threshold, compression_ratio_threshold)

    def load(self) -> StageInfo:
        """Open a client; the server is first asked by the first window. Raises LoadFailed."""
        self._openai = openai_client.library("stt")
        audio = import_module("openai.types.audio")
        self._translation: type[TranslationVerbose] = audio.TranslationVerbose
        key = openai_client.key_for("stt", self._api_key_env, self._base_url)
        # Whether to ask again is the ingress' decision: it knows who still waits.
        self._client = self._openai.OpenAI(
            base_url=self._base_url,
            api_key=key,
            timeout=self._timeout_s,
            max_retries=0,
        )
        # Of the models that such servers have, Whisper's alone translate.
        multilingual = "whisper" in self._model and not self._model.endswith(".en")
        translates = multilingual and was_taught_translation(self._model)
        return StageInfo("openai", translates=translates, details={"model": self._model})

    def transcribe(self, windows: Sequence[SpeechWindow]) -> list[Transcript]:
        """What the server hears in each window, one request each.

        Raises BadInput (half a sample, or the server refuses), Overloaded (429, 503), BackendError.
        """
        return [self._transcribe(window) for window in windows]

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _transcribe(self, window: SpeechWindow) -> Transcript:
        if len(window.pcm) % 2:
            raise BadInput("PCM of 16-bit samples cannot have an odd number of bytes")
        language = primary_language(window.language) if window.language else self._language
        if duration_s(window) < SHORTEST_S:
            return Transcript("", language=language)
        told = self._openai.omit if language is None else language
        sound = ("speech.wav", _wav(window.pcm), "audio/wav")
        ask = self._client.audio.transcriptions.create
        try:
            if window.task == "translate":
                return self._translated(sound)
            if not self._word_times or not wants_words(window):
                heard = ask(file=sound, model=self._model, language=told, temperature=0.0)
                return Transcript(heard.text.strip(), language=language)
            detailed = ask(
                file=sound,
                model=self._model,
                language=told,
                temperature=0.0,
                response_format="verbose_json",
                timestamp_granularities=["word", "segment"],
            )
        except self._openai.APIError as error:
            raise openai_client.told(error) from error
        return self._detailed(detailed, language, duration_s(window))

    def _translated(self, sound: tuple[str, bytes, str]) -> Transcript:
        # The library calls its own method for this deprecated; servers have the endpoint.
        heard = self._client.post(
            "/audio/translations",
            cast_to=self._translation,
            body={"model": self._model, "temperature": 0.0, "response_format": "verbose_json"},
            files=[("file", sound)],
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )
        if heard.segments is None:
            return Transcript(heard.text.strip(), language="en")
        text = "".join(segment.text for segment in heard.segments if self._believes(segment))
        return Transcript(text.strip(), language="en")

    def _believes(self, s: TranscriptionSegment) -> bool:
        return self._guards.believe(s.avg_logprob, s.no_speech_prob, s.compression_ratio)

    def _detailed(
        self, heard: TranscriptionVerbose, language: str | None, seconds: float
    ) -> Transcript:
        # Servers name the language as "english": that is not the tag that it was asked by.
        segments = heard.segments or []
        doubted = [segment for segment in segments if not self._believes(segment)]
        if not doubted:
            guesses = [Guess(word.word, word.start, word.end) for word in heard.words or ()]
            in_order = words_in_order(guesses, seconds)
            return Transcript(heard.text.strip(), in_order, language)
        text = "".join(segment.text for segment in segments if segment not in doubted)
        guesses = [
            Guess(word.word, word.start, word.end)
            for word in heard.words or ()
            if not any(s.start <= (word.start + word.end) / 2 < s.end for s in doubted)
        ]
        return Transcript(text.strip(), words_in_order(guesses, seconds), language)


def _wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SPEECH_RATE)
        sound.writeframes(pcm)
    return file.getvalue()
