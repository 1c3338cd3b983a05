"""Servers in place of checkpoints: what a remote backend's suite runs against, in this process.

A server ends with the process; its threads are daemons.
"""

from __future__ import annotations

import os

import pytest

from tests.speech_servers import Server, start

_KEY_ENV = "PARLEY_TESTS_KEY"


def openai(factory: pytest.TempPathFactory) -> dict[str, object]:
    """Settings of `tts:openai`."""
    del factory
    server = Server()
    start(server)
    return {"base_url": f"{server.url}/v1", "api_key_env": ""}


def elevenlabs(factory: pytest.TempPathFactory) -> dict[str, object]:
    """Settings of `tts:elevenlabs`."""
    del factory
    server = Server()
    start(server)
    os.environ[_KEY_ENV] = "any"
    return {"base_url": server.url, "api_key_env": _KEY_ENV}
