"""What keeps conversations, and the rules that every store holds to; the table of one in memory.

A conversation is kept under a key, for the `owner` whose API key began it, and is written by one
`holder`, the connection that took it last. Another's writes are refused: that is how a connection
learns that the conversation goes on elsewhere. Each write keeps it for another `keep_s`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serve_app.errors import ParleyError

FORGOTTEN: Final = b""
"""In a conversation's place once it is over, so that no late write brings it back."""

MAX_TABLE_BYTES: Final = 256 * 1024 * 1024
"""Of snapshots in memory. Overflow policy: those written longest ago are forgotten."""


class ResumeSettings(BaseModel):
    """Where conversations are kept for clients that come back, and for how long after they left.

    memory  beside the ingress replicas: outlives each of them, not the graph
    redis   at `redis_url`: outlives the graph
    none    nowhere: a connection that is lost is a call that is lost
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: Literal["memory", "redis", "none"] = "memory"
    redis_url: Annotated[str, Field(pattern=r"^(rediss?|unix)://.")] | None = None
    keep_s: Annotated[float, Field(ge=1, le=86_400)] = 120.0

    @model_validator(mode="after")
    def _complete(self) -> ResumeSettings:
        if (self.store == "redis") is not (self.redis_url is not None):
            raise ValueError("redis_url belongs to store: redis, and is needed there")
        return self


class StoreLost(ParleyError):
    """The store does not answer, or not in time."""


class ConversationStore(Protocol):
    """Keeps snapshots. Every method raises StoreLost."""

    async def put(self, key: str, holder: str, owner: str, data: bytes) -> bool:
        """Keep `data`; False, and nothing is kept, where another holds the conversation."""
        ...

    async def take(self, key: str, holder: str, owner: str) -> bytes | None:
        """Hold the conversation from now on; None where there is none, or it is another's."""
        ...

    async def of(self, owner: str) -> list[bytes]:
        """An owner's conversations, as they were last written."""
        ...

    async def erase(self, owner: str) -> int:
        """Forget an owner's conversations; how many there were. One whose call goes on is kept
        anew when that call writes next."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


@dataclass(frozen=True, slots=True)
class _Row:
    holder: str
    owner: str
    data: bytes
    expires_at: float


class ConversationTable:
    """Conversations in memory. `now` in seconds of one clock."""

    def __init__(self, keep_s: float, max_bytes: int = MAX_TABLE_BYTES) -> None:
        self.keep_s = keep_s
        self._max_bytes = max_bytes
        self._bytes = 0
        self._rows: OrderedDict[str, _Row] = OrderedDict()

    def put(self, key: str, holder: str, owner: str, data: bytes, now: float) -> bool:
        """See ConversationStore."""
        self._sweep(now)
        row = self._rows.get(key)
        if row is not None and row.holder != holder:
            return False
        self._write(key, _Row(holder, owner, data, now + self.keep_s))
        return True

    def take(self, key: str, holder: str, owner: str, now: float) -> bytes | None:
        """See ConversationStore."""
        self._sweep(now)
        row = self._rows.get(key)
        if row is None or row.owner != owner or row.data == FORGOTTEN:
            return None
        self._write(key, _Row(holder, owner, row.data, now + self.keep_s))
        return row.data

    def of(self, owner: str, now: float) -> list[bytes]:
        """See ConversationStore."""
        self._sweep(now)
        rows = self._rows.values()
        return [row.data for row in rows if row.owner == owner and row.data != FORGOTTEN]

    def erase(self, owner: str, now: float) -> int:
        """See ConversationStore."""
        self._sweep(now)
        theirs = {key: row for key, row in self._rows.items() if row.owner == owner}
        for key, row in theirs.items():
            self._write(key, _Row(row.holder, owner, FORGOTTEN, now + self.keep_s))
        return sum(row.data != FORGOTTEN for row in theirs.values())

    def _write(self, key: str, row: _Row) -> None:
        """Last in the order, which is that of expiry, as all are kept for equally long."""
        self._remove(key)
        self._rows[key] = row
        self._bytes += len(row.data)
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._rows)))

    def _sweep(self, now: float) -> None:
        while self._rows and next(iter(self._rows.values())).expires_at <= now:
            self._remove(next(iter(self._rows)))

    def _remove(self, key: str) -> None:
        row = self._rows.pop(key, None)
        self._bytes -= len(row.data) if row else 0
