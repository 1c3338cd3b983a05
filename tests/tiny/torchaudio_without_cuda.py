"""Importing this lets torchaudio's wheel, built for CUDA, be imported beside a torch for CPUs.

Its compiled part, which no voice here needs, is left out.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

if import_module("torch").version.cuda is None:
    _extension = ModuleType("torchaudio._extension")
    _extension.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=lambda function: function,
    )
    sys.modules.setdefault("torchaudio._extension", _extension)
