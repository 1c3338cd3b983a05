"""A model that makes way for a smaller one, without a model."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from deployments.contracts import BackendError, LoadFailed
from deployments.fallback import Fitted

NO_MEMORY = RuntimeError("CUDA failed with error out of memory")
SMALLER = {"large": "small", "small": "tiny"}


class Shelf:
    """Models by name, of which some are too big."""

    def __init__(self, *too_big: str) -> None:
        self.too_big = too_big
        self.log: list[str] = []
        self.details: dict[str, str] = {}
        self.fitted = Fitted(self.load, self.free, SMALLER, self.details)

    def load(self, name: str) -> str:
        """Its name, for a model."""
        self.log.append(f"load {name}")
        if name in self.too_big:
            raise NO_MEMORY
        return name

    def free(self, model: str) -> None:
        """Nothing but a note."""
        self.log.append(f"free {model}")


def test_what_fits_is_kept() -> None:
    """And said."""
    shelf = Shelf()
    assert shelf.fitted.load("large") == "large"
    assert shelf.fitted.run(str.upper) == "LARGE"
    assert shelf.details == {"model": "large"}


def test_no_memory_at_load_takes_a_smaller_one() -> None:
    """And the next, until one fits."""
    shelf = Shelf("large", "small")
    assert shelf.fitted.load("large") == "tiny"
    assert shelf.details == {"model": "tiny", "fallback": "no memory for small"}


def test_nothing_smaller_is_a_failed_load() -> None:
    """Which says what to change."""
    with pytest.raises(LoadFailed, match=r"'tiny'.*smaller"):
        Shelf("large", "small", "tiny").fitted.load("large")


def test_another_error_at_load_stays_what_it_is() -> None:
    """Only memory is answered by a smaller model."""
    fitted = Fitted[str](lambda name: str(1 / len(name[:0])), print, SMALLER, {})
    with pytest.raises(ZeroDivisionError):
        fitted.load("large")


@pytest.mark.parametrize("error", [NO_MEMORY, MemoryError()])
def test_no_memory_in_use_goes_on_with_a_smaller_one(error: Exception) -> None:
    """The work is asked of it again; the big one was freed before."""
    shelf = Shelf()
    shelf.fitted.load("large")

    def work(model: str) -> str:
        if model == "large":
            raise error
        return f"by {model}"

    assert shelf.fitted.run(work) == "by small"
    assert shelf.log == ["load large", "free large", "load small"]
    assert shelf.details == {"model": "small", "fallback": "no memory for large"}


def test_another_error_in_use_is_the_backends() -> None:
    """The model stays."""
    shelf = Shelf()
    shelf.fitted.load("large")

    def work(_: str) -> str:
        raise RuntimeError("no such layer")

    with pytest.raises(BackendError, match="no such layer"):
        shelf.fitted.run(work)
    assert shelf.fitted.run(str.upper) == "LARGE"


def test_threads_that_fail_together_take_one_step() -> None:
    """Whoever comes second finds the smaller model, though its error was another."""
    shelf = Shelf()
    shelf.fitted.load("large")
    both = threading.Barrier(2)
    errors = iter([NO_MEMORY, RuntimeError("the model was unloaded")])

    def work(model: str) -> str:
        if model == "large":
            error = next(errors)
            both.wait(5)
            if error is not NO_MEMORY:
                freed.wait(5)
            raise error
        freed.set()
        return model

    freed = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda _: shelf.fitted.run(work), range(2)))
    assert results == ["small", "small"]
    assert shelf.log == ["load large", "free large", "load small"]


def test_closed_is_freed() -> None:
    """And asked no more."""
    shelf = Shelf()
    shelf.fitted.load("large")
    shelf.fitted.close()
    assert shelf.log[-1] == "free large"
    with pytest.raises(BackendError):
        shelf.fitted.run(str.upper)
