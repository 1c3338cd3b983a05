"""Networks from ONNX files that come inside installed packages: found, loaded, with types.

The packages are installed for their files alone and never imported: importing them needs torch,
or more packages than all of Parley.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray


class Network(Protocol):
    """A loaded network. It has no state of its own and may be shared by threads."""

    def run(
        self, outputs: None, feed: dict[str, NDArray[np.float32] | NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """All its outputs for the inputs of these names."""
        ...


class _Options(Protocol):
    intra_op_num_threads: int
    inter_op_num_threads: int


class _OnnxRuntime(Protocol):
    """The part of onnxruntime, which has no types, that is used here."""

    def SessionOptions(self) -> _Options: ...

    def InferenceSession(
        self, path: str, sess_options: _Options, providers: list[str]
    ) -> Network: ...


def load_network(path: Path) -> Network:
    """The network of an ONNX file, on one thread of the CPU: the one that runs it."""
    runtime = cast("_OnnxRuntime", onnxruntime)
    options = runtime.SessionOptions()
    # Many calls share few cores: threads inside one network would only spin against each other.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return runtime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


def file_of_package(package: str, file: str) -> Path | None:
    """Where an installed package has a file; None without the package or the file."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, file)
        if path.is_file():
            return path
    return None
