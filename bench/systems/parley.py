"""The graph as the bench runs it: the embedded config with timed stages, and nothing else new."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import yaml

from bench.plan import ENDPOINT_MS, INTERRUPT_FRAMES, VAD_FRAME_MS, stages

Speculation: TypeAlias = Literal["off", "reply"]

EMBEDDED = Path(__file__).resolve().parents[2] / "serve_config.embedded.yaml"


def graph_config(slots: int | None, speculation: Speculation, *, judged: bool = False) -> str:
    """A Serve config, as YAML. `judged`: Smart Turn has a say in every pause."""
    config = cast("dict[str, Any]", yaml.safe_load(EMBEDDED.read_text()))
    arguments = config["applications"][0]["args"]
    for stage, settings in stages(slots).items():
        arguments[stage] = {"backend": "timed", "settings": settings}
    arguments["turn"] = {
        # By default the pause alone, as with the control and the peer's fastest setting.
        "end_of_turn": "smart-turn" if judged else "silence",
        "endpoint_ms": ENDPOINT_MS,
        "min_interrupt_ms": INTERRUPT_FRAMES * VAD_FRAME_MS,
        "speculation": speculation,
    }
    # Past the cap of Serve's own proxy, too: where it breaks is what is asked.
    arguments["limits"] = {"max_calls_default_proxy": 64}
    return yaml.safe_dump(config)
