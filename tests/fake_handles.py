"""Ray Serve handles that follow scripts: what `serve_app.stages` calls, and how often it cancels.

    handle = FakeHandle(reply=[[RayActorError()], ["Hi", 0.1, " there."]])

One script a call of the method, in order; the last one serves all that follow. A unary call
answers with its script's one item. An exception in place of a script
is raised by `.remote` itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ray.exceptions import RayTaskError
from ray.serve.exceptions import RequestCancelledError

from tests.fakes import Script, play


class FakeResponse:
    """What `.remote` returns: awaitable and iterable, cancelled or not."""

    def __init__(self, script: Script) -> None:
        self.cancels = 0
        self.taken = 0
        self._items = play(script)
        self._waiting: asyncio.Task[Any] | None = None

    def cancel(self) -> None:
        """Stop the work on the replica; the consumer gets RequestCancelledError."""
        self.cancels += 1
        if self._waiting is not None:
            self._waiting.cancel()

    def __await__(self) -> Any:
        return self.__anext__().__await__()

    def __aiter__(self) -> FakeResponse:
        return self

    async def __anext__(self) -> Any:
        self._waiting = asyncio.ensure_future(anext(self._items))
        try:
            item = await self._waiting
        except asyncio.CancelledError:
            if self.cancels:
                raise RequestCancelledError from None
            raise
        finally:
            self._waiting.cancel()
            self._waiting = None
        self.taken += 1
        return item


class _Method:
    def __init__(self, handle: FakeHandle, scripts: list[Script]) -> None:
        self._handle = handle
        self._scripts = scripts

    def remote(self, *arguments: Any) -> FakeResponse:
        """Begin a call."""
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self._handle.requests.append(arguments[0] if arguments else None)
        if isinstance(script, Exception):
            raise script
        response = FakeResponse(script)
        self._handle.responses.append(response)
        return response


class FakeHandle:
    """A DeploymentHandle. `requests` and `responses` are all that was asked for."""

    def __init__(self, **scripts: list[Any]) -> None:
        self.requests: list[Any] = []
        self.responses: list[FakeResponse] = []
        self._methods = {name: _Method(self, script) for name, script in scripts.items()}

    def options(self, **options: object) -> FakeHandle:
        """A handle with other options: here the same one."""
        assert options == {"stream": True}
        return self

    def __getattr__(self, method: str) -> _Method:
        return self._methods[method]

    @property
    def cancels(self) -> list[int]:
        """How often each call was cancelled."""
        return [response.cancels for response in self.responses]


def task_error(cause: Exception) -> RayTaskError:
    """How an actor's exception arrives over Ray's own transport."""
    error = RayTaskError("reply", "traceback", cause, proctitle="x", pid=1, ip="127.0.0.1")
    return error.as_instanceof_cause()
