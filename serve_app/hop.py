"""One stage's Ray handle: time-outs, one retry, its circuit, one error map, cancel on the way out.

What a stage raises becomes a StageError; a stream that is left early, for whatever reason, stops
the work on its replica.
"""

# Ray's handles are typed in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
    RequestCancelledError,
)
from ray.serve.handle import DeploymentHandle

from deployments import tracing
from deployments.contracts import (
    BadInput,
    Overloaded,
    ReplyRequest,
    SpeechRequest,
    SpeechWindow,
    StageInfo,
    StreamLost,
)
from serve_app import metrics
from serve_app.breaker import Breaker
from serve_app.errors import (
    Stage,
    StageError,
    StageFailed,
    StageLost,
    StageOverloaded,
    StageRefused,
    StageTimeout,
)
from serve_app.settings import StageSettings

T = TypeVar("T")

DESCRIBE_TIMEOUT_S = 5.0
CANCEL_GRACE_S = 0.5
AHEAD = 64
"""Items of a stream that may wait here. Overflow policy: the stream is not read meanwhile."""


class Hop:
    """One stage's handle with its time-outs and its circuit."""

    def __init__(
        self, stage: Stage, handle: DeploymentHandle[Any], settings: StageSettings
    ) -> None:
        self._stage: Stage = stage
        self._handle = handle
        self._streaming = handle.options(stream=True)
        self._first_s = settings.first_s
        self._next_s = settings.next_s
        self._breaker = Breaker()

    async def describe(self) -> StageInfo:
        """Wait for the stage to be loaded. Raises StageError."""
        return await self._unary("describe", (), DESCRIBE_TIMEOUT_S)

    async def call(
        self, method: str, *arguments: object, retry: bool, wait_s: float | None = None
    ) -> Any:
        """A unary call, `wait_s` in place of a caller's patience. Raises StageError, StreamLost."""

        async def attempt() -> Any:
            return await self._unary(method, arguments, wait_s or self._first_s)

        try:
            return await self._guarded(attempt)
        except StageError as error:
            if not (retry and error.retryable):
                raise
        return await self._guarded(attempt)

    async def stream(self, method: str, request: object) -> AsyncGenerator[Any, None]:
        """A streaming call, tried twice if it fails before its first item. Raises StageError."""
        for last_try in (False, True):
            self._check_circuit()
            begun = False
            try:
                with tracing.span(f"{self._stage} {method}") as span:
                    [asked] = _traced((request,), span)
                    async with aclosing(self._attempt_stream(method, asked)) as items:
                        async for item in items:
                            if not begun:
                                begun = True
                                span.note("first")
                                self._breaker.succeeded()
                            yield item
                if not begun:
                    self._breaker.succeeded()
                return
            except StageError as error:
                self._note(error)
                if begun or last_try or not error.retryable:
                    raise

    async def _unary(self, method: str, arguments: tuple[object, ...], timeout_s: float) -> Any:
        with tracing.span(f"{self._stage} {method}") as span:
            response = self._send(self._handle, method, *_traced(arguments, span))
            try:
                async with asyncio.timeout(timeout_s):
                    return await response
            except TimeoutError:
                raise StageTimeout(self._stage, f"{method}: nothing in {timeout_s} s") from None
            except Exception as error:
                raise _mapped(self._stage, error) from error
            finally:
                response.cancel()

    def _send(self, handle: DeploymentHandle[Any], method: str, *arguments: object) -> Any:
        try:
            return getattr(handle, method).remote(*arguments)
        except Exception as error:
            raise _mapped(self._stage, error) from error

    async def _guarded(self, attempt: Callable[[], Awaitable[T]]) -> T:
        self._check_circuit()
        try:
            result = await attempt()
        except StreamLost:
            self._breaker.succeeded()
            raise
        except StageError as error:
            self._note(error)
            raise
        self._breaker.succeeded()
        return result

    async def _attempt_stream(self, method: str, request: object) -> AsyncGenerator[Any, None]:
        stream = self._send(self._streaming, method, request)
        items: asyncio.Queue[Any] = asyncio.Queue(AHEAD)
        # Timing out on Ray's own generator would end it without a word, so a task of its own
        # reads it into a queue, and the queue is what is waited for.
        reader = asyncio.ensure_future(_read_into(items, stream))
        wait_s = self._first_s
        try:
            while True:
                try:
                    async with asyncio.timeout(wait_s):
                        item = await items.get()
                except TimeoutError:
                    what = f"{method}: nothing in {wait_s} s"
                    raise StageTimeout(self._stage, what) from None
                if isinstance(item, _Failure):
                    raise _mapped(self._stage, item.error) from item.error
                if item is _END:
                    return
                yield item
                wait_s = self._next_s
        finally:
            stream.cancel()
            reader.cancel()
            await asyncio.wait([reader], timeout=CANCEL_GRACE_S)

    def _check_circuit(self) -> None:
        if not self._breaker.allows(asyncio.get_running_loop().time()):
            metrics.stage_failed(self._stage, "circuit_open")
            raise StageOverloaded(self._stage, "its circuit is open")

    def _note(self, error: StageError) -> None:
        """A stage that refuses works; one without room may, and a partial it drops is no fault."""
        metrics.stage_failed(self._stage, error.code)
        if isinstance(error, StageRefused):
            self._breaker.succeeded()
        elif not isinstance(error, StageOverloaded):
            self._breaker.failed(asyncio.get_running_loop().time())


_END: Final = object()


_LOST = (
    RayActorError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
    RequestCancelledError,
)


class _Failure:
    def __init__(self, error: Exception) -> None:
        self.error = error


async def _read_into(items: asyncio.Queue[Any], stream: AsyncIterator[Any]) -> None:
    try:
        async for item in stream:
            await items.put(item)
    except Exception as error:  # noqa: BLE001  The reader's end of the queue raises it.
        # Without its traceback, which holds this frame, and so the queue: if nobody reads it any
        # more they would keep each other.
        await items.put(_Failure(error.with_traceback(None)))
    else:
        await items.put(_END)


def _traced(arguments: tuple[object, ...], span: tracing.Span) -> tuple[object, ...]:
    """The arguments of a call; a request among them says for which span the stage works."""
    if span.traceparent is None:
        return arguments
    return tuple(
        replace(argument, trace=span.traceparent)
        if isinstance(argument, SpeechWindow | ReplyRequest | SpeechRequest)
        else argument
        for argument in arguments
    )


def _mapped(stage: Stage, error: Exception) -> Exception:
    """What a handle raised, as one of ours. Backend errors cross Ray inside a RayTaskError."""
    cause = cast(Exception, error.cause) if isinstance(error, RayTaskError) else error
    text = f"{type(cause).__name__}: {cause}"
    if isinstance(cause, StreamLost):
        return cause
    if isinstance(cause, BadInput):
        return StageRefused(stage, str(cause), cause.code)
    if isinstance(cause, Overloaded | BackPressureError):
        return StageOverloaded(stage, text)
    if isinstance(cause, _LOST):
        return StageLost(stage, text)
    return StageFailed(stage, text)
