"""How far each stage is with coming up: told by its replica, read by the ingress and the launcher.

A replica in its constructor answers no call, so it writes into the key-value store of Ray's
control service, as Serve's controller does: no further process, and it outlives the replica.
One entry a stage: of two replicas that load, the last to speak is seen.
"""

# Ray's store is typed in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import logging

import ray
from ray import serve
from ray.experimental import internal_kv

log = logging.getLogger("ray.serve")

_NAMESPACE = b"parley"
_FAILED = "failed: "


def tell(stage: str, state: str) -> None:
    """Say in a few words what a stage does now."""
    log.info("%s: %s", stage, state)
    if ray.is_initialized():
        _put(_key(stage), state.encode())


def tell_failed(stage: str, reason: str) -> None:
    """Say why a stage cannot load, which trying again does not change."""
    tell(stage, f"{_FAILED}{reason}")


def tell_ready(stage: str) -> None:
    """A stage is loaded and warm: its entry is gone."""
    log.info("%s: ready", stage)
    if ray.is_initialized():
        _delete(_key(stage))


def told(application: str | None = None) -> dict[str, str]:
    """What the stages of an application (None: this replica's) do now. Blocks for a moment."""
    prefix = _prefix(application)
    found: dict[str, str] = {}
    for key in _list(prefix):
        if (state := _get(key)) is not None:
            found[key.removeprefix(prefix).decode()] = state.decode()
    return found


def reason(state: str) -> str | None:
    """Why the stage of this state cannot load; None where it may yet."""
    return state.removeprefix(_FAILED) if state.startswith(_FAILED) else None


def _key(stage: str) -> bytes:
    return _prefix(None) + stage.encode()


def _prefix(application: str | None) -> bytes:
    name = serve.get_replica_context().app_name if application is None else application
    return f"{name}/".encode()


# Serve's controller uses these; the name's underscore says that Ray may change them.


def _put(key: bytes, value: bytes) -> None:
    internal_kv._internal_kv_put(  # pyright: ignore[reportPrivateUsage]
        key, value, overwrite=True, namespace=_NAMESPACE
    )


def _get(key: bytes) -> bytes | None:
    return internal_kv._internal_kv_get(  # pyright: ignore[reportPrivateUsage]
        key, namespace=_NAMESPACE
    )


def _list(prefix: bytes) -> list[bytes]:
    return internal_kv._internal_kv_list(  # pyright: ignore[reportPrivateUsage]
        prefix, namespace=_NAMESPACE
    )


def _delete(key: bytes) -> None:
    internal_kv._internal_kv_del(  # pyright: ignore[reportPrivateUsage]
        key, namespace=_NAMESPACE
    )
