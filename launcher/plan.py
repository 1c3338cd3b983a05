"""Which config to run, where it answers, and the environment of its graph."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from launcher import LaunchError
from launcher.ports import free_port, free_range

ROOT = Path(__file__).resolve().parent.parent

REPLICAS_HTTP = (26_000, 29_999, 50)
REPLICAS_GRPC = (30_000, 32_699, 50)
"""First, last, and how many for each graph: above Ray's workers, below the ports of connections."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the config file, where it answers, and through which front door."""

    config: Path
    host: str
    port: int
    fast: bool
    metrics_port: int | None = None

    @property
    def address(self) -> str:
        """Host and port as clients write them."""
        return f"{self.host}:{self.port}"


def plan_of(config: Path, host: str | None, port: int | None, front_door: str) -> Plan:
    """A plan; host and port are the config file's where they are None."""
    its_host, its_port = http_address(read_config(config))
    return Plan(config.resolve(), host or its_host, port or its_port, front_door == "fast")


def read_config(path: Path) -> dict[str, Any]:
    """The Serve config in a file. Raises LaunchError where it is none."""
    try:
        loaded = yaml.safe_load(path.read_text())
    except OSError as error:
        raise LaunchError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise LaunchError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, dict) or "applications" not in loaded:
        raise LaunchError(f"{path} is not a Serve config: it has no `applications`")
    return cast(dict[str, Any], loaded)


def http_address(config: Mapping[str, Any]) -> tuple[str, int]:
    """Host and port of a Serve config, with Serve's defaults."""
    options: dict[str, Any] = config.get("http_options") or {}
    return options.get("host", "127.0.0.1"), options.get("port", 8000)


def with_address(config: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
    """The same config, answering at another address."""
    options: dict[str, Any] = config.get("http_options") or {}
    return {**config, "http_options": {**options, "host": host, "port": port}}


def parse_env(text: str) -> dict[str, str]:
    """The NAME=value lines of an env file. Raises LaunchError at a line that is neither."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise LaunchError(f"serve.env, line {number}: NAME=value expected")
        values[name.strip()] = value.strip()
    return values


def graph_environment(plan: Plan, run_dir: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of the graph: a Ray of its own, its files in `run_dir`.

    What the caller's environment says of Serve wins over serve.env.
    """
    environment = dict(inherited)
    for name in ("RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_RUNTIME_ENV_HOOK"):
        environment.pop(name, None)
    paths = [str(ROOT), *filter(None, [inherited.get("PYTHONPATH")])]
    environment |= {
        "PYTHONPATH": os.pathsep.join(paths),
        "RAY_TMPDIR": str(run_dir),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_worker_maximum_startup_concurrency": "8",
    }
    if plan.fast:
        flags = parse_env((ROOT / "serve.env").read_text()) | haproxy_places(run_dir)
        environment = flags | environment
    return environment


def haproxy_places(run_dir: Path) -> dict[str, str]:
    """HAProxy's files, and the ports beside its own, so that two graphs can live on one machine.

    Names are short: a Unix socket's path ends at about 100 characters, and Ray adds 57. HAProxy
    knows the ports of the ingress' replicas before these listen, and sends what comes earlier to
    Serve's own proxy. Were any of these ports the same, one graph would answer the other's calls.
    """
    home = run_dir / "h"
    http, grpc = free_range(*REPLICAS_HTTP), free_range(*REPLICAS_GRPC)
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(home / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(home / "a.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(home / "m.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(home),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(home / "server-state"),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port(9101)),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port(8404)),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(http.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(http[-1]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(grpc.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(grpc[-1]),
    }
