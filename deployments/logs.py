"""The project's loggers: below Serve's own, so that its files and encoding (JSON) are theirs too.

Which call and turn a record belongs to stands in it as `call_id`, `turn_id` and `reply_id`; what
was said never does.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_IDS: ContextVar[Mapping[str, str | int]] = ContextVar("parley_log_ids")


class _WithIds(logging.Filter):
    """Lets every record pass, with the ids of what its task works for."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.__dict__.update(_IDS.get({}))
        return True


_WITH_IDS = _WithIds()


def logger(name: str) -> logging.Logger:
    """The logger of a part of the project."""
    made = logging.getLogger(f"ray.serve.parley.{name}")
    made.addFilter(_WITH_IDS)
    return made


@contextmanager
def ids(**more: str | int) -> Generator[None, None, None]:
    """Records of the block have these ids too, and those of the tasks that it starts."""
    token = _IDS.set({**_IDS.get({}), **more})
    try:
        yield
    finally:
        _IDS.reset(token)
