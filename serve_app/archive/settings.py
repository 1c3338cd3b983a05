"""What an operator sets of recordings, and their key from the environment or a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve_app.errors import ConfigError

KEY_BYTES: Final = 32


class RecordingSettings(BaseModel):
    """Calls whose callers agree are recorded (docs/privacy.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: str = "~/.local/share/parley/recordings"
    """Where they lie, one for all ingress replicas; `~` is the user's home."""
    key_env: str = "PARLEY_RECORDING_KEY"
    """The environment variable with the key that seals them, 64 hexadecimal digits."""
    key_file: str | None = None
    """A file with the key, in place of the variable."""
    keep: tuple[Literal["audio", "transcript"], ...] = Field(
        default=("audio", "transcript"), min_length=1
    )
    keep_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    max_gb: Annotated[float, Field(gt=0, le=1_000_000)] = 20.0
    """Past it the oldest go first."""


def sealing_key(settings: RecordingSettings) -> bytes:
    """The key. Raises ConfigError, in one line, where there is none."""
    if settings.key_file is not None:
        where = f"recording.key_file {settings.key_file}"
        try:
            text = Path(settings.key_file).expanduser().read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where} cannot be read: {type(error).__name__}") from error
    else:
        where = settings.key_env
        text = os.environ.get(settings.key_env, "")
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"recording needs a key, and {where} has none of 64 hexadecimal digits: "
            "openssl rand -hex 32 makes one"
        )
    return key
