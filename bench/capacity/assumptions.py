"""Every figure that the plan stands on, with where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deployments.schedule import Pace

Source = Literal["measured", "published", "computed", "assumed", "set"]
"""`measured` here, on a CPU; `computed` from sizes and published speeds; `set` in the config."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, its unit, and why it is believed."""

    value: float
    unit: str
    source: Source
    why: str


# The caller: a turn is speech, a pause with the stages' work, a reply, and a thought.
SPEAKS_S = (2.0, 6.0)
THINKS_S = (0.0, 2.0)
ANSWER_S = 0.9
"""From the caller's last sound to the voice's first phrase: pause, transcript, first clause."""
REPLY_S = 5.85
"""Mean of what bench.tts_schedule draws: 15-30 characters, then none to two times 60-90."""
TURN_S = sum(SPEAKS_S) / 2 + ANSWER_S + 0.1 + REPLY_S + sum(THINKS_S) / 2

CHARACTER_S = 0.06
PUBLISHED = Pace(0.102, 0.17, CHARACTER_S)
PACES = {0.1: Pace(0.06, 0.1, CHARACTER_S), 0.17: PUBLISHED, 0.3: Pace(0.18, 0.3, CHARACTER_S)}
"""By real-time factor. First audio is slower as the rest is."""

WAIT_MS = 400.0
"""A first phrase may wait so long at p95: beyond it the ingress takes no new calls."""
UNDERRUNS_PER_100 = 1.0
FINAL_WAIT_MS = 100.0
"""A transcript may wait so long at p95."""
PER_INGRESS = 24
"""Calls for which the policy adds an ingress replica (`per_replica` in serve_config.yaml)."""
VOICE_PER_REPLICA, VOICE_AGE_MS = 2.0, 200.0
"""What the autoscaling policy is told of voices (`VOICE_SCALING` in serve_app/app.py)."""

FIGURES = {
    "speaks": Figure(4.0, "s, 2-6 evenly", "assumed", "the caller's turn"),
    "thinks": Figure(1.0, "s, 0-2 evenly", "assumed", "after a reply, before speaking"),
    "replica starts": Figure(20.0, "s", "assumed", "an ingress, on a machine that is there"),
    "machine starts": Figure(300.0, "s", "assumed", "a node that is bought, with its images"),
    "carries": Figure(40.0, "calls", "assumed", "with which an ingress is as late as is allowed"),
    "answer": Figure(ANSWER_S, "s", "assumed", "pause 0.5, transcript and first clause 0.4"),
    "reply": Figure(REPLY_S, "s of audio", "assumed", "as in docs/performance.md"),
    "first audio": Figure(0.102, "s", "published", "VoXtream on an A100, compiled, alone on it"),
    "real-time factor": Figure(0.17, "s a s", "published", "the same"),
    "window": Figure(0.06, "s of card a window", "assumed", "large-v3-turbo, float16, 20 tokens"),
    "partials": Figure(8.0, "windows a turn", "set", "4 s of speech, one each 0.5 s"),
    "step": Figure(
        0.012, "s a token", "computed", "15.2 GB of weights at 1.56 TB/s are 9.8 ms; a fifth more"
    ),
    "tokens": Figure(30.0, "tokens a reply", "assumed", "98 characters and a little over"),
    "prompt": Figure(0.06, "s a reply", "assumed", "the prefix is cached, the last turns are read"),
    "begun": Figure(
        2.7, "replies a turn", "measured", "speculation: reply, on the bench's clip (2.7-3.7)"
    ),
    "conversation": Figure(1500.0, "tokens", "assumed", "instructions and history of a call"),
    "whole call": Figure(180.0, "s", "assumed", "mean length of a call"),
}
LENGTH_S = FIGURES["whole call"].value
STARTS_S = {
    "a replica": FIGURES["replica starts"].value,
    "a machine": FIGURES["machine starts"].value,
}
"""From the decision to the first call."""
CARRIES = {"as planned": FIGURES["carries"].value, "half": FIGURES["carries"].value / 2}
"""Calls with which an ingress replica is as late as its policy allows."""
