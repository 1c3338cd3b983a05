"""Clients of servers that speak OpenAI's protocols: their key, and what their errors mean."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from deployments.contracts import BackendError, BadInput, LoadFailed, Overloaded

if TYPE_CHECKING:
    import openai

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

NO_KEY = "none"
"""The client insists on a key; servers without accounts ignore it."""


def library(stage: str):  # No annotation names a module with what is in it; its type is inferred.
    """The package `openai`, imported when first asked for. Raises LoadFailed."""
    try:
        import openai
    except ImportError as error:
        raise LoadFailed(f"{stage} backend 'openai' needs openai: {error}") from error
    return openai


def key_for(stage: str, api_key_env: str, base_url: str | None) -> str:
    """The key in the variable of that name; OpenAI's own server takes nobody without one.

    Raises LoadFailed.
    """
    key = os.environ.get(api_key_env)
    if key is None and base_url is None:
        raise LoadFailed(f"{stage} backend 'openai' needs a key in {api_key_env}, or a base_url")
    return key or NO_KEY


def status_of(error: openai.APIError) -> int | None:
    """The HTTP status that a server answered with; None where it did not answer."""
    return getattr(error, "status_code", None)


def told(error: openai.APIError) -> BackendError:
    """What an error of the client is to a stage. Never in the server's own words: servers quote
    what they were asked, and this goes to the log."""
    status = status_of(error)
    if status in (429, 503):
        return Overloaded(f"the server has no room: {status}")
    if status in (400, 404, 413, 422):
        return BadInput(f"the server refuses the request: {status}{_kind(error)}")
    return BackendError(f"the server failed: {status or type(error).__name__}{_kind(error)}")


def _kind(error: openai.APIError) -> str:
    """What the server calls its error, where that is a name."""
    names = (str(name) for name in (error.code, error.type) if name is not None)
    return "".join(f" {name}" for name in names if _NAME.fullmatch(name))
