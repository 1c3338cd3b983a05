"""A graph as small as one can be, in the place of the agent."""

from __future__ import annotations

from pathlib import Path

import yaml

STAND_IN = """
from fastapi import FastAPI, WebSocket
from ray import serve

api = FastAPI()


@serve.deployment
@serve.ingress(api)
class StandIn:
    @api.get("/readyz")
    def readyz(self):
        return {"ready": True, "stages": {"stt": "ready"}}

    @api.websocket("/ws")
    async def ws(self, socket: WebSocket):
        await socket.accept()
        await socket.send_text(await socket.receive_text())


def build(_args):
    return StandIn.bind()


def refuse(_args):
    raise ValueError("the plan cannot work")
"""


def write_config(directory: Path, builder: str = "build") -> Path:
    """A Serve config beside the application it names."""
    (directory / "stand_in.py").write_text(STAND_IN)
    config = {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": 8000},
        "applications": [
            {
                "name": "stand-in",
                "route_prefix": "/",
                "import_path": f"stand_in:{builder}",
                "args": {},
                "deployments": [{"name": "StandIn", "ray_actor_options": {"num_cpus": 0.1}}],
            }
        ],
    }
    path = directory / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
