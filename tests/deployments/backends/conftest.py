"""Which backends the contract suites run over: those that need nothing more, or `--backend`s."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import stt_servers, tiny, tts_servers

LIGHT = {
    "stt": ("pocketsphinx", "timed", *stt_servers.REMOTE),
    "llm": ("echo", "eliza", "timed"),
    "tts": ("espeak", "timed", *tts_servers.REMOTE),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--backend stt:faster-whisper`, as often as wanted."""
    parser.addoption(
        "--backend",
        action="append",
        metavar="STAGE:NAME",
        help="a backend that is installed here, to test in place of the light ones",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`stt_name`, `llm_name` and `tts_name` are the backends of their stage."""
    asked = metafunc.config.getoption("--backend", None)
    for stage, light in LIGHT.items():
        if f"{stage}_name" not in metafunc.fixturenames:
            continue
        prefix = f"{stage}:"
        chosen = [name.removeprefix(prefix) for name in asked or () if name.startswith(prefix)]
        names = light if asked is None else chosen
        metafunc.parametrize(f"{stage}_name", names, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The libraries of backends asked for by name warn of much that is not ours to mend.

    Importing them for the first time may take longer than any other test.
    """
    if config.getoption("--backend", None) is not None:
        for item in items:
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="module")
def stt_settings(
    stt_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, object]]:
    """What to build the recogniser with: its checkpoint is built, or its server runs."""
    if stt_name in stt_servers.REMOTE:
        with stt_servers.running(stt_name) as (settings, _):
            yield settings
    else:
        yield tiny.settings("stt", stt_name, tmp_path_factory)


@pytest.fixture(scope="module")
def tts_settings(
    tts_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, object]]:
    """The same for the voice."""
    if tts_name in tts_servers.REMOTE:
        with tts_servers.running(tts_name) as settings:
            yield settings
    else:
        yield tiny.settings("tts", tts_name, tmp_path_factory)
