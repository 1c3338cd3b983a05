"""Conversations in an actor of the ingress's deployment: it outlives each replica.

Serve starts it before the replicas, and makes a new, empty one where it dies.
"""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import DeploymentActorConfig
from ray.serve.exceptions import RayServeException

from serve_app.resume.store import ConversationTable, ResumeSettings, StoreLost

NAME: Final = "conversations"


@ray.remote
class ConversationsActor:
    """The table, one call after the other."""

    def __init__(self, keep_s: float) -> None:
        self._table = ConversationTable(keep_s)

    def put(self, key: str, holder: str, owner: str, data: bytes) -> bool:
        """See ConversationStore."""
        return self._table.put(key, holder, owner, data, time.monotonic())

    def take(self, key: str, holder: str, owner: str) -> bytes | None:
        """See ConversationStore."""
        return self._table.take(key, holder, owner, time.monotonic())

    def of(self, owner: str) -> list[bytes]:
        """See ConversationStore."""
        return self._table.of(owner, time.monotonic())

    def erase(self, owner: str) -> int:
        """See ConversationStore."""
        return self._table.erase(owner, time.monotonic())


def actors(settings: ResumeSettings) -> list[dict[Any, Any] | DeploymentActorConfig]:
    """What the ingress's deployment needs beside its replicas."""
    if settings.store != "memory":
        return []
    config = DeploymentActorConfig(
        name=NAME,
        actor_class=ConversationsActor,
        init_kwargs={"keep_s": settings.keep_s},
        actor_options={"num_cpus": 0},
    )
    return [config]


class ActorConversations:
    """See ConversationStore. To be used in a replica of the deployment that has the actor."""

    def __init__(self) -> None:
        self._actor: Any = None

    async def put(self, key: str, holder: str, owner: str, data: bytes) -> bool:
        """See ConversationStore."""
        return await self._ask("put", key, holder, owner, data)

    async def take(self, key: str, holder: str, owner: str) -> bytes | None:
        """See ConversationStore."""
        return await self._ask("take", key, holder, owner)

    async def of(self, owner: str) -> list[bytes]:
        """See ConversationStore."""
        return await self._ask("of", owner)

    async def erase(self, owner: str) -> int:
        """See ConversationStore."""
        return await self._ask("erase", owner)

    async def close(self) -> None:
        """There are no connections to close."""

    async def _ask(self, method: str, *arguments: object) -> Any:
        try:
            if self._actor is None:
                self._actor = await asyncio.to_thread(serve.get_deployment_actor, NAME)
            return await getattr(self._actor, method).remote(*arguments)
        except (RayError, RayServeException, ValueError) as error:
            # Another takes its place under the same name: look it up again.
            self._actor = None
            raise StoreLost(f"the conversations' actor: {type(error).__name__}") from error
