"""The language model as a Ray Serve deployment: messages in, text as it is written out."""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedClassDecorator=false

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from ray import serve

from deployments import backends, process_metrics, stage_metrics, tracing
from deployments.backend_protocols import LanguageModel, Queued, Watched
from deployments.coalesce import coalesced
from deployments.contracts import ReplyItem, ReplyRequest, StageInfo
from deployments.loading import loading, others_loaded

COALESCE_S, LATER_S = 0.025, 0.1
"""Items on a handle cost CPU at both ends; text this much later is not heard."""


@serve.deployment(name="LanguageModel")
class LanguageModelDeployment:
    """One replica of the configured model, and the way to servers that calls choose instead."""

    _elsewhere: LanguageModel | None = None

    async def __init__(  # pyright: ignore[reportGeneralTypeIssues]  Serve awaits constructors.
        self,
        backend: str,
        settings: dict[str, object],
        load_after: Mapping[str, int] | None = None,
    ) -> None:
        await others_loaded("llm", load_after or {})
        await self.serve_backend(backends.create("llm", backend, settings))

    async def serve_backend(self, backend: LanguageModel) -> None:
        """Load a backend and serve it."""
        self._backend = backend
        with loading("llm"):
            self._info = await backend.load()

    async def describe(self) -> StageInfo:
        """What is loaded. Answers only once it is."""
        return self._info

    async def check_health(self) -> None:
        """Serve asks this now and then, and replaces a replica that keeps raising."""
        process_metrics.tell()
        if isinstance(self._backend, Queued):
            stage_metrics.unfinished(self._backend.unfinished)
        if isinstance(self._backend, Watched):
            await self._backend.check_health()

    async def reply(self, request: ReplyRequest) -> AsyncIterator[ReplyItem]:
        """The reply: its first text at once, later text gathered, then tool calls."""
        model = self._backend if request.server_url is None else await self._client(request)
        with tracing.span("llm.write", request.trace):
            async with aclosing(coalesced(model.reply(request), COALESCE_S, LATER_S)) as items:
                async for item in items:
                    yield item

    async def _client(self, request: ReplyRequest) -> LanguageModel:
        """The client of every server that is not the operator's: it has no key to give away."""
        if self._elsewhere is None:
            settings = {"base_url": request.server_url, "api_key_env": ""}
            self._elsewhere = backends.create("llm", "openai", settings)
            await self._elsewhere.load()
        return self._elsewhere

    async def __del__(self) -> None:
        """Serve awaits this when the replica stops in order."""
        if hasattr(self, "_info"):
            await self._backend.close()
        if self._elsewhere is not None:
            await self._elsewhere.close()
