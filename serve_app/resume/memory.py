"""Conversations in an actor beside the ingress replicas: it outlives each, and their versions.

Serve's own deployment actors are of one version and end with it. This one is made by the first
replica that asks, under the application's name, and ends itself once it has nothing to keep.
"""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Final, cast

import ray
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import RayServeException

from serve_app.resume.store import ConversationTable, StoreLost

_ATTEMPTS: Final = 2
"""One that has just ended itself is made anew."""


@ray.remote(num_cpus=0)
class ConversationsActor:
    """The table, one call after the other. `keep_s` is that of the replica that writes."""

    def __init__(self, keep_s: float) -> None:
        self._table = ConversationTable(keep_s)
        self._kept_until = time.monotonic() + keep_s
        threading.Thread(target=self._end_when_empty, daemon=True).start()

    def put(self, key: str, holder: str, owner: str, data: bytes, keep_s: float) -> bool:
        """See ConversationStore."""
        return self._table.put(key, holder, owner, data, self._asked(keep_s))

    def take(self, key: str, holder: str, owner: str, keep_s: float) -> bytes | None:
        """See ConversationStore."""
        return self._table.take(key, holder, owner, self._asked(keep_s))

    def of(self, owner: str, keep_s: float) -> list[bytes]:
        """See ConversationStore."""
        return self._table.of(owner, self._asked(keep_s))

    def erase(self, owner: str, keep_s: float) -> int:
        """See ConversationStore."""
        return self._table.erase(owner, self._asked(keep_s))

    def _asked(self, keep_s: float) -> float:
        now = time.monotonic()
        self._table.keep_s = keep_s
        self._kept_until = max(self._kept_until, now + keep_s)
        return now

    def _end_when_empty(self) -> None:
        while (left_s := self._kept_until - time.monotonic()) > 0:
            time.sleep(left_s)
        ray.kill(cast(Any, ray.get_runtime_context()).current_actor)


class ActorConversations:
    """See ConversationStore. To be used in a replica."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
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
        error: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                if self._actor is None:
                    self._actor = await asyncio.to_thread(self._found)
                return await getattr(self._actor, method).remote(*arguments, self._keep_s)
            except (RayError, RayServeException, ValueError) as failure:
                error, self._actor = failure, None
                if not isinstance(failure, RayActorError):
                    break
        raise StoreLost(f"the conversations' actor: {type(error).__name__}") from error

    def _found(self) -> Any:
        app = serve.get_replica_context().app_name
        options: dict[str, Any] = {
            "name": f"parley conversations of {app}",
            "lifetime": "detached",
            "get_if_exists": True,
        }
        return ConversationsActor.options(**options).remote(self._keep_s)
