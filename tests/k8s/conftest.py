"""What these tests need: Ray imported once, its own warnings aside."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # Ray trips over pydantic's deprecations while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ray.serve  # noqa: F401
