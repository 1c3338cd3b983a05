"""What clients call models, voices and languages, and what is meant here. Pure."""

from __future__ import annotations

import re
from typing import Final

from pydantic import BaseModel

from deployments.contracts import StageInfo
from deployments.language_tags import primary_language
from serve_app.dialects.realtime_session import VOICES
from serve_app.errors import PeerError

_OPENAI_MODELS: Final = re.compile(r"(gpt|chatgpt|whisper|tts|o\d)(-.*)?")
"""Names that clients send unasked: each is the deployed model."""


class VoiceId(BaseModel):
    """A voice by its id."""

    id: str


def model_names(info: StageInfo) -> tuple[str, ...]:
    """What a stage's model may be called: itself, where the stage says which, and its backend."""
    model = info.details.get("model")
    return (model, info.backend) if model and model != info.backend else (info.backend,)


def check_model(asked: str, info: StageInfo) -> str:
    """The name of the deployed model. Raises PeerError where another is asked for."""
    known = model_names(info)
    if asked not in known and not _OPENAI_MODELS.fullmatch(asked):
        text = f"model: there is no {asked[:60]!r} here, only {', '.join(known)}"
        raise PeerError("model_not_found", text, status=404, param="model")
    return known[0]


def voice_name(asked: str | VoiceId | None, default: str | None, info: StageInfo) -> str | None:
    """The voice that is meant; None: the stage's own. OpenAI's names are the default voice."""
    name = asked.id if isinstance(asked, VoiceId) else asked
    if not name or (name in VOICES and name not in info.voices):
        return default
    return name


def check_language(language: str | None, info: StageInfo) -> None:
    """Raises PeerError where a stage does not know a language."""
    if language and info.languages and primary_language(language) not in info.languages:
        known = ", ".join(info.languages)
        text = f"language: {info.backend} knows only {known}"
        raise PeerError("invalid_value", text, param="language")
