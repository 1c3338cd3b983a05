"""What HTTP requests may cost: part of the settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class RestLimits(BaseModel):
    """What one ingress replica takes by HTTP. A request past `at_once` is told to come back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_once: Annotated[int, Field(ge=1)] = 8
    """Requests that the stages work for at the same time; calls come before them everywhere."""
    max_upload_mb: Annotated[int, Field(ge=1, le=1_000)] = 25
    max_upload_s: Annotated[float, Field(gt=0, le=3_600)] = 120.0
    """How long an upload may take."""
    max_audio_s: Annotated[float, Field(gt=0, le=86_400)] = 3_600.0
    """How long an uploaded recording may be."""
