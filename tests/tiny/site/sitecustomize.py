"""On PYTHONPATH, makes a process load tiny checkpoints as `build` here would: for replicas of Ray.

A library's models are made small just before it is imported; nothing is imported before.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder


class _BeforeImport(MetaPathFinder):
    """Finds no module; the first time one of these is looked for, its `shrink` is called."""

    def __init__(self) -> None:
        self._waiting = {"voxtream", "chatterbox"}

    def find_spec(self, fullname: str, *_: object) -> None:
        """See MetaPathFinder."""
        if fullname in self._waiting:
            self._waiting.remove(fullname)
            import_module(f"tests.tiny.{fullname}").shrink()


sys.meta_path.insert(0, _BeforeImport())
