"""As much of torch as a voice asks for outside of its model, over numpy."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np


class Tensor:
    """Samples, passed on by the calls that move a tensor."""

    def __init__(self, samples: list[float]) -> None:
        self._samples = np.array(samples, np.float32)
        self.shape = self._samples.shape

    def __getitem__(self, _: int) -> Tensor:
        return self

    def detach(self) -> Tensor:
        """See torch.Tensor."""
        return self

    float = cpu = detach

    def to(self, _: Any) -> Tensor:
        """See torch.Tensor."""
        return self

    def numpy(self) -> np.ndarray:
        """See torch.Tensor."""
        return self._samples


class FakeTorch:
    """The module; it remembers seeds, and what was allowed to be read."""

    bfloat16, float32 = "bfloat16", "float32"

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.allowed: list[object] = []
        self.files: dict[str, object] = {}
        self.cuda = SimpleNamespace(is_available=lambda: False, empty_cache=lambda: None)
        self.serialization = SimpleNamespace(safe_globals=self._safe_globals)

    def manual_seed(self, seed: int) -> None:
        """See torch."""
        self.seeds.append(seed)

    def load(self, path: Any, *, map_location: str, weights_only: bool) -> object:
        """See torch; only what is safe is read."""
        assert weights_only
        assert map_location == "cpu"
        return self.files[path.stem]

    def _safe_globals(self, allowed: list[object]) -> AbstractContextManager[None]:
        self.allowed = allowed
        return nullcontext()
