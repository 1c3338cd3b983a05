"""A Realtime session's settings: as the client patches them, as it is told them, as the call has
them.

A patch is merged deeply; an explicit null clears. What a session cannot have is an error; keys
that mean nothing here are left out, for some clients stumble over what they do not know.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final, Literal, TypeAlias

from serve_app.conversation.events import ConfigChanged
from serve_app.dialects import AudioFormat
from serve_app.dialects import json_fields as read
from serve_app.dialects import realtime_turns as turns
from serve_app.dialects.json_text import Json, invalid
from serve_app.dialects.realtime_tools import MAX_TOOLS, read_choice, read_tools

Kind: TypeAlias = Literal["realtime", "transcription"]

MAX_NAME_CHARS: Final = 100
MAX_INSTRUCTIONS_CHARS: Final = 32_000
ENDPOINT_RANGE_MS: Final = (100, 5_000)
"""What `silence_duration_ms` is brought into."""
PREFIX_RANGE_MS: Final = (0, 1_000)
"""The same for `prefix_padding_ms`."""
PCM_RATE: Final = 24_000
PCM: Final = AudioFormat("pcm16", PCM_RATE)
RATE_RANGE: Final = (8_000, 48_000)

_VOICES: Final = """alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse"""
VOICES: Final = frozenset(_VOICES.split())
"""OpenAI's names, which clients send unasked: each is the server's own voice."""


@dataclass(frozen=True, slots=True)
class Session:
    """Everything a session may have set. `turn_detection` holds what the client itself set."""

    kind: Kind = "realtime"
    model: str = ""
    instructions: str = ""
    modality: Literal["audio", "text"] = "audio"
    voice: str | None = None
    speed: float = 1.0
    input_format: AudioFormat = PCM
    output_format: AudioFormat = PCM
    transcription: Json | None = None
    noise_reduction: Json | None = None
    turn_detection: Json | None = None
    detects: bool = True
    tools: tuple[Json, ...] = ()
    tool_choice: str | Json = "auto"
    max_output_tokens: int | Literal["inf"] = "inf"
    tracing: str | Json | None = None

    def patched(self, patch: Json) -> Session:
        """With a client's `session` merged in. Raises PeerError, and nothing has changed."""
        changes: dict[str, object] = {}
        kind = read.one_of(patch, "type", "session.type", ("realtime", "transcription"), self.kind)
        changes["kind"] = kind
        if "model" in patch:
            model = read.optional_string(patch, "model", "session.model", MAX_NAME_CHARS)
            changes["model"] = model or self.model
        if "instructions" in patch:
            changes["instructions"] = (
                read.optional_string(
                    patch, "instructions", "session.instructions", MAX_INSTRUCTIONS_CHARS
                )
                or ""
            )
        if "output_modalities" in patch:
            changes["modality"] = modality(patch, "session.output_modalities") or "audio"
        if "tools" in patch:
            read_tools(patch, "session.tools")
            changes["tools"] = tuple(read.records(patch, "tools", "session.tools", MAX_TOOLS))
        if "tool_choice" in patch:
            read_choice(patch, "session.tool_choice")
            changes["tool_choice"] = _text_or_record(patch, "tool_choice") or "auto"
        if "tracing" in patch:
            changes["tracing"] = _text_or_record(patch, "tracing")
        if "max_output_tokens" in patch:
            changes["max_output_tokens"] = _most_tokens(patch)
        audio = read.record(patch, "audio", "session.audio")
        changes |= self._input(read.record(audio, "input", "session.audio.input"))
        changes |= self._output(read.record(audio, "output", "session.audio.output"))
        if kind == "transcription" and not changes.get("transcription", self.transcription):
            changes["transcription"] = {"model": "default"}
        return replace(self, **changes)  # pyright: ignore[reportArgumentType]  Read as its fields are.

    def _input(self, patch: Json) -> dict[str, object]:
        path = "session.audio.input"
        changes: dict[str, object] = {}
        if "format" in patch:
            changes["input_format"] = audio_format(patch, f"{path}.format")
        if "transcription" in patch:
            changes["transcription"] = self._transcription(patch, f"{path}.transcription")
        if "noise_reduction" in patch:
            wanted = read.record(patch, "noise_reduction", f"{path}.noise_reduction")
            kinds = ("near_field", "far_field")
            kind = read.one_of(wanted, "type", f"{path}.noise_reduction.type", kinds, "near_field")
            changes["noise_reduction"] = {"type": kind} if wanted.get("type") else None
        if "turn_detection" in patch:
            wanted = read.record(patch, "turn_detection", f"{path}.turn_detection")
            changes["detects"] = patch["turn_detection"] is not None
            if changes["detects"]:
                own = turns.patched(self.turn_detection, wanted, f"{path}.turn_detection")
                changes["turn_detection"] = own
        return changes

    def _output(self, patch: Json) -> dict[str, object]:
        path = "session.audio.output"
        changes: dict[str, object] = {}
        if "format" in patch:
            changes["output_format"] = audio_format(patch, f"{path}.format")
        if "voice" in patch:
            changes["voice"] = voice_name(patch, f"{path}.voice")
        if patch.get("speed") is not None:
            changes["speed"] = read.number(patch, "speed", f"{path}.speed", 0.25, 1.5)
        return changes

    def _transcription(self, patch: Json, path: str) -> Json | None:
        if patch["transcription"] is None:
            return None
        wanted = {**(self.transcription or {}), **read.record(patch, "transcription", path)}
        merged: Json = {"model": "default"}
        for key in ("model", "language", "prompt"):
            limit = MAX_INSTRUCTIONS_CHARS if key == "prompt" else MAX_NAME_CHARS
            value = read.optional_string(wanted, key, f"{path}.{key}", limit)
            if value is not None:
                merged[key] = value
        return merged

    def told(self, session_id: str, expires_at: int) -> Json:
        """The session as its client is told it."""
        audio_input: Json = {
            "format": told_format(self.input_format),
            "transcription": self.transcription,
            "noise_reduction": self.noise_reduction,
            "turn_detection": turns.told(self.turn_detection) if self.detects else None,
        }
        if self.kind == "transcription":
            return {
                "type": "transcription",
                "object": "realtime.transcription_session",
                "id": session_id,
                "expires_at": expires_at,
                "audio": {"input": audio_input},
            }
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": self.model,
            "output_modalities": [self.modality],
            "instructions": self.instructions,
            "tools": list(self.tools),
            "tool_choice": self.tool_choice,
            "max_output_tokens": self.max_output_tokens,
            "tracing": self.tracing,
            "expires_at": expires_at,
            "audio": {
                "input": audio_input,
                "output": {
                    "format": told_format(self.output_format),
                    "voice": self.voice or "default",
                    "speed": self.speed,
                },
            },
        }

    def config(self) -> ConfigChanged:
        """What of the session the call must know; None where it is the server's to choose."""
        detection = turns.told(self.turn_detection) if self.detects else {}
        own = self.turn_detection or {}
        language = (self.transcription or {}).get("language")
        return ConfigChanged(
            voice=None if self.voice in VOICES else self.voice,
            language=str(language) if language else None,
            instructions=self.instructions or None,
            endpoint_ms=_within(own.get("silence_duration_ms"), ENDPOINT_RANGE_MS),
            prefix_ms=_within(own.get("prefix_padding_ms"), PREFIX_RANGE_MS),
            voice_probability=_as_float(own.get("threshold")),
            detects_turns=self.detects,
            answers_turns=self.kind == "realtime" and detection.get("create_response") is True,
            interruptible=detection.get("interrupt_response") is True,
            speaks=self.modality == "audio",
            silence_ms=self._silence_ms(detection),
            tools=read_tools({"tools": list(self.tools)}, "session.tools"),
            tool_choice=read_choice({"tool_choice": self.tool_choice}, "session.tool_choice"),
            continues=False,
        )

    def _silence_ms(self, detection: Json) -> int:
        timeout_ms = detection.get("idle_timeout_ms") if self.kind == "realtime" else None
        return timeout_ms if isinstance(timeout_ms, int) else 0


def difference(before: ConfigChanged, after: ConfigChanged) -> ConfigChanged:
    """What of `after` is new; cleared instructions are empty ones."""
    changes = {
        field.name: getattr(after, field.name)
        for field in fields(ConfigChanged)
        if getattr(after, field.name) != getattr(before, field.name)
    }
    if before.instructions and after.instructions is None:
        changes["instructions"] = ""
    return ConfigChanged(**changes)


def modality(fields: Json, path: str) -> Literal["audio", "text"] | None:
    """Whether a reply has a voice: `["audio"]` or `["text"]`; None where it is absent."""
    match fields.get("output_modalities"):
        case None:
            return None
        case ["text"]:
            return "text"
        case ["audio"] | ["audio", "text"] | ["text", "audio"]:
            return "audio"
        case _:
            raise invalid(f'{path} must be ["audio"] or ["text"]', param=path)


def voice_name(fields: Json, path: str) -> str | None:
    """A voice by its name, or by an object with its id."""
    if isinstance(fields.get("voice"), dict):
        fields = {"voice": read.record(fields, "voice", path).get("id")}
    return read.optional_string(fields, "voice", path, MAX_NAME_CHARS) or None


def audio_format(fields: Json, path: str) -> AudioFormat:
    """`{"type": "audio/pcm", "rate": 24000}`, audio/pcmu or audio/pcma; null is the default."""
    wanted = read.record(fields, "format", path)
    kinds = ("audio/pcm", "audio/pcmu", "audio/pcma")
    match read.one_of(wanted, "type", f"{path}.type", kinds, "audio/pcm"):
        case "audio/pcmu":
            return AudioFormat("mulaw", 8_000)
        case "audio/pcma":
            return AudioFormat("alaw", 8_000)
        case _:
            rate = read.optional_number(wanted, "rate", f"{path}.rate", *RATE_RANGE)
            return AudioFormat("pcm16", int(rate or PCM_RATE))


def told_format(format: AudioFormat) -> Json:
    """The same, as the client is told it."""
    match format.codec:
        case "mulaw":
            return {"type": "audio/pcmu"}
        case "alaw":
            return {"type": "audio/pcma"}
        case _:
            return {"type": "audio/pcm", "rate": format.rate}


def _text_or_record(patch: Json, key: str) -> str | Json | None:
    path = f"session.{key}"
    if isinstance(patch.get(key), str):
        return read.string(patch, key, path, MAX_NAME_CHARS)
    return read.record(patch, key, path) or None


def _most_tokens(patch: Json) -> int | Literal["inf"]:
    if patch.get("max_output_tokens") in (None, "inf"):
        return "inf"
    return int(read.number(patch, "max_output_tokens", "session.max_output_tokens", 1, 1_000_000))


def _within(value: object, bounds: tuple[int, int]) -> int | None:
    least, most = bounds
    return None if not isinstance(value, int) else max(least, min(value, most))


def _as_float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
