"""Which replica of the voice gets a phrase: the one that can begin it soonest.

Runs in the ingress, in the place of Serve's own router, which takes the replica with the fewest
requests: a phrase that is nearly made counts there as much as a long one that has just begun.
"""

# Ray's routers are typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import asyncio
import random
import time
from itertools import count
from typing import Any

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

from deployments.backlog import Backlog
from deployments.contracts import SpeechRequest
from deployments.schedule import Job


class VoiceRouter(RequestRouter):
    """Knows what this ingress replica asked for; of what others did, only how much there is."""

    def initialize_state(self, **_: Any) -> None:
        """Called once, by Serve."""
        self._backlogs: dict[ReplicaID, Backlog] = {}
        self._asked: dict[str, tuple[Backlog, int]] = {}
        self._keys = count()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """The replicas, the best for a phrase first; Serve takes the first that answers."""
        if pending_request is None or not pending_request.args:
            return [candidate_replicas]
        request = pending_request.args[0]
        if not isinstance(request, SpeechRequest):
            return [candidate_replicas]
        replicas = random.sample(candidate_replicas, len(candidate_replicas))
        known = {each.replica_id: self._backlogs.get(each.replica_id) for each in replicas}
        self._backlogs = {name: backlog or Backlog() for name, backlog in known.items()}
        now = time.monotonic()
        due_at = now + request.slack_ms / 1000
        job = Job(next(self._keys), request.urgency, due_at, len(request.text))
        replicas.sort(key=lambda each: self._wait_s(each.replica_id, job, now))
        if replicas:
            self._note(pending_request, self._backlogs[replicas[0].replica_id], job, now)
        return [[each] for each in replicas]

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Called by Serve, once for every request that was sent."""
        del replica_id
        self._forget(internal_request_id)

    def _wait_s(self, replica: ReplicaID, job: Job, now: float) -> float:
        in_all = self.replica_queue_len_cache.get(replica) or 0
        return self._backlogs[replica].wait_s(job, now, in_all)

    def _note(self, request: PendingRequest, backlog: Backlog, job: Job, now: float) -> None:
        """The phrase counts from now on, as others may be routed before it is sent."""
        name = request.metadata.internal_request_id
        self._forget(name)
        backlog.add(job, now)
        self._asked[name] = (backlog, job.key)

        def chosen(future: asyncio.Future[RunningReplica]) -> None:
            if future.cancelled():
                self._forget(name)

        request.future.add_done_callback(chosen)

    def _forget(self, name: str) -> None:
        backlog, key = self._asked.pop(name, (None, 0))
        if backlog is not None:
            backlog.remove(key, time.monotonic())
