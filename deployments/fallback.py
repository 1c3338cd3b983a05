"""A model that makes way for a smaller one when memory runs out, at load or while it is used."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from deployments.contracts import BackendError, LoadFailed

_log = logging.getLogger(__name__)

M = TypeVar("M")
R = TypeVar("R")


class Fitted(Generic[M]):
    """The model in use; threads share it.

    `load` loads a model by name, `free` gives its memory back; both get it while no other model
    is loaded or freed. `smaller`: the name to go on with for a name. `details` says which model is
    in use, and that it is not the one asked for.
    """

    def __init__(
        self,
        load: Callable[[str], M],
        free: Callable[[M], None],
        smaller: Mapping[str, str],
        details: dict[str, str],
    ) -> None:
        self._load = load
        self._free = free
        self._smaller = smaller
        self._details = details
        self._swapping = threading.Lock()
        self._model: M | None = None

    def load(self, name: str) -> M:
        """The model, or the first smaller one that there is memory for. Raises LoadFailed."""
        while True:
            try:
                self._model = self._load(name)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                name = self._next(name, error)
            else:
                self._details["model"] = name
                return self._model

    def run(self, work: Callable[[M], R]) -> R:
        """What `work` makes of the model; asked again of a smaller one if memory ran out.

        Raises BackendError for what else goes wrong inside the model.
        """
        while True:
            model = self._model
            if model is None:
                raise BackendError("the model is not loaded")
            try:
                return work(model)
            except (RuntimeError, MemoryError) as error:
                self._replace(model, error)

    def close(self) -> None:
        """Free the model."""
        with self._swapping:
            model, self._model = self._model, None
            if model is not None:
                self._free(model)

    def _replace(self, failed: M, error: RuntimeError | MemoryError) -> None:
        with self._swapping:
            if self._model is not failed:
                # Another thread was first, and may have freed the model under this one.
                return
            if not is_out_of_memory(error):
                raise BackendError(f"the model failed: {error}") from error
            name = self._next(self._details["model"], error)
            self._free(failed)
            self._model = None
            self.load(name)

    def _next(self, name: str, error: Exception) -> str:
        smaller = self._smaller.get(name)
        if not smaller or smaller == name:
            raise LoadFailed(
                f"there is no memory for {name!r}: set `model` or `fallback` to a smaller one, "
                f"or give the stage more memory"
            ) from error
        _log.warning("no memory for %s: going on with %s (%s)", name, smaller, error)
        self._details["fallback"] = f"no memory for {name}"
        return smaller


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of CTranslate2, PyTorch or Python says so."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()
