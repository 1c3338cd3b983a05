"""The language model as a Ray Serve deployment: messages in, text as it is written out."""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedClassDecorator=false

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from ray import serve

from deployments import backends
from deployments.coalesce import coalesced
from deployments.contracts import LanguageModel, ReplyRequest, StageInfo, TextDelta

COALESCE_S = 0.025
"""Items on a handle cost CPU at both ends; text this much later is not heard."""


@serve.deployment(name="LanguageModel")
class LanguageModelDeployment:
    """One replica of the configured model."""

    async def __init__(  # pyright: ignore[reportGeneralTypeIssues]  Serve awaits constructors.
        self, backend: str, settings: dict[str, object]
    ) -> None:
        await self.serve_backend(backends.create("llm", backend, settings))

    async def serve_backend(self, backend: LanguageModel) -> None:
        """Load a backend and serve it."""
        self._backend = backend
        self._info = await backend.load()

    async def describe(self) -> StageInfo:
        """What is loaded. Answers only once it is."""
        return self._info

    async def reply(self, request: ReplyRequest) -> AsyncIterator[TextDelta]:
        """The reply's text: the first delta at once, later ones gathered for 25 ms."""
        async with aclosing(coalesced(self._backend.reply(request), COALESCE_S)) as deltas:
            async for delta in deltas:
                yield delta

    async def __del__(self) -> None:
        """Serve awaits this when the replica stops in order."""
        if hasattr(self, "_info"):
            await self._backend.close()
