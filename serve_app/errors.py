"""Every error of a call, as one tree.

ParleyError
├── PeerError            the client's fault: a typed code, and a close code where the call ends
├── ConfigError          the operator's fault: one line that says what to change
└── StageError           a stage's fault, named by stage
    ├── StageTimeout     it did not answer in time
    ├── StageLost        its replica died, or there is none
    ├── StageOverloaded  it has no room, or its circuit is open
    ├── StageRefused     it cannot serve this request: an unknown voice, say
    └── StageFailed      it raised
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from deployments.contracts import VoiceFault

Stage: TypeAlias = Literal["stt", "llm", "tts"]


class ParleyError(Exception):
    """Base of every error raised on purpose."""


class ConfigError(ParleyError):
    """The configuration cannot work."""


class PeerError(ParleyError):
    """A client sent what it may not.

    `code` is the wire code, the message is for the client to read. With `close_code` (RFC 6455)
    the call ends; without, just the message that caused it is dropped. Before a WebSocket is
    accepted the same error is refused with HTTP `status`. `cause`: the client's own id of the
    message, `param` what in it is wrong, where the protocol has these. `retry_after_s`: when it is
    worth trying again.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        close_code: int | None = None,
        status: int = 400,
        cause: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.code = code
        self.cause = cause
        self.param = param
        self.message = message
        self.close_code = close_code
        self.status = status


class StageError(ParleyError):
    """A stage did not deliver. The text is for the log; clients get `code` and a fixed sentence."""

    code = "stage_failed"
    retryable = True

    def __init__(self, stage: Stage, detail: str) -> None:
        super().__init__(f"{stage}: {detail}")
        self.stage: Stage = stage


class StageTimeout(StageError):
    """No answer in time."""

    code = "stage_timeout"


class StageLost(StageError):
    """The replica died, or none is left."""

    code = "stage_unavailable"


class StageOverloaded(StageError):
    """No room now."""

    code = "stage_overloaded"


class StageRefused(StageError):
    """This request can never be served; asking again would not help.

    `fault` says why to those who register voices, `told` in words that they may read.
    """

    code = "stage_refused"
    retryable = False

    def __init__(self, stage: Stage, told: str, fault: VoiceFault = "invalid_value") -> None:
        super().__init__(stage, told)
        self.told = told
        self.fault: VoiceFault = fault


class StageFailed(StageError):
    """The backend raised."""
