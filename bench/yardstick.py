"""When the plain rule decides, for every alignment of the clip: no clock, no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.clip import Clip
from bench.ear import Decision, Ear
from bench.plan import RATE, lead_samples
from serve_app.audio.pcm import to_float
from serve_app.audio.vad import FRAME_SAMPLES, SileroVad

BEFORE = bytes(RATE * 2 * 2)
"""Two seconds of silence: Silero has settled."""
AFTER = bytes(RATE * 2)


@dataclass(frozen=True, slots=True)
class Due:
    """Sample positions in the clip (not in the call) at which the rule has heard enough."""

    interrupt: int
    end: int


def decisions_due(clip: Clip, alignments: int) -> list[Due]:
    """One entry an alignment. Raises ValueError where a pause inside the clip ends the turn."""
    return [_due(clip, lead_samples(index, alignments)) for index in range(alignments)]


def _due(clip: Clip, lead: int) -> Due:
    begins = len(BEFORE) // 2 + lead
    heard = list(decisions(BEFORE + bytes(lead * 2) + clip.pcm + AFTER))
    interrupts = [at for at, decision in heard if decision == "interrupting"]
    ends = [at for at, decision in heard if decision == "ended"]
    if len(ends) != 1 or not interrupts:
        raise ValueError(f"the clip is {len(ends)} turns at a lead of {lead} samples")
    return Due(interrupts[0] - begins, ends[0] - begins)


def decisions(pcm: bytes) -> Iterator[tuple[int, Decision]]:
    """The rule's decisions over a recording, each with the sample position that it needed."""
    ear, vad = Ear(), SileroVad()
    samples = to_float(pcm)
    for end in range(FRAME_SAMPLES, len(samples) + 1, FRAME_SAMPLES):
        decision = ear.hear(vad.push(samples[end - FRAME_SAMPLES : end]))
        if decision:
            yield end, decision
