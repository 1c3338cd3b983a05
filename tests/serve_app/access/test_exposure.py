"""Which addresses may be served without keys."""

from __future__ import annotations

import pytest

from serve_app.access import exposure
from serve_app.access.settings import AuthSettings, from_environment
from serve_app.errors import ConfigError

NETWORK = ["0.0.0.0", "::", "192.168.1.7", "8.8.8.8", "voice.example", "", "localhost.evil"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", None])
def test_this_machine_may_be_served_without_keys(host: str | None) -> None:
    """None: Serve listens nowhere yet."""
    exposure.check(host, AuthSettings())


@pytest.mark.parametrize("host", NETWORK)
def test_the_network_may_not(host: str) -> None:
    """In one line that names both ways out."""
    with pytest.raises(ConfigError, match=r"^serving .*auth\.keys_file.*allow_anonymous") as caught:
        exposure.check(host, AuthSettings())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", NETWORK)
def test_with_keys_or_an_explicit_word_it_may(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the settings or the environment."""
    monkeypatch.delenv("PARLEY_KEYS_FILE", raising=False)
    exposure.check(host, AuthSettings(keys_file="/keys"))
    exposure.check(host, AuthSettings(allow_anonymous=True))
    monkeypatch.setenv("PARLEY_ALLOW_ANONYMOUS", "1")
    exposure.check(host, from_environment(AuthSettings()))
    monkeypatch.setenv("PARLEY_ALLOW_ANONYMOUS", "0")
    with pytest.raises(ConfigError):
        exposure.check(host, from_environment(AuthSettings()))
    monkeypatch.setenv("PARLEY_KEYS_FILE", "/keys")
    assert from_environment(AuthSettings(keys_file="/others")).keys_file == "/keys"
