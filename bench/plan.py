"""The numbers of a run: stages, calls, alignments, the pause. Computes; starts nothing."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

StageSettings: TypeAlias = dict[str, dict[str, object]]

RATE: Final = 16_000
"""Sample rate of the caller's audio, in Hz."""
FRAME_MS: Final = 20
VAD_FRAME_MS: Final = 32

PAUSE_MS: Final = 200
PAUSE_FRAMES: Final = round(PAUSE_MS / VAD_FRAME_MS)
"""Silero sees 32 ms at a time; pipecat rounds 200 ms to 6 of its frames, so all three take 6."""
ENDPOINT_MS: Final = PAUSE_FRAMES * VAD_FRAME_MS
INTERRUPT_FRAMES: Final = PAUSE_FRAMES
"""Speech that interrupts: pipecat's `start_secs` of 0.2 is rounded in the same way."""

GRID_MS: Final = math.lcm(FRAME_MS, VAD_FRAME_MS)
"""After this the clip lies on both frame grids as before."""

CALLS: Final = (1, 4, 8, 16, 24, 28, 32, 36, 40, 48)
SLOT_CALLS: Final = (4, 8, 16)
JUDGED_CALLS: Final = (4, 8)
"""Rows of the systems that judge a pause by its sound; the clip is one voice saying one thing."""
ALIGNMENTS: Final = 32
LEAST_TURNS: Final = 4
"""Turns a call at least: with many calls the alignments repeat, and p99 has enough of them."""

P99_FROM_CALLS: Final = 8
AHEAD_MS: Final = 250
"""The control sends at most this much ahead of playback, as Parley does."""

STT_MS: Final = 80
FIRST_TOKEN_MS: Final = 60
TOKEN_MS: Final = 15
FIRST_AUDIO_MS: Final = 100
REPLY: Final = "It is sunny and warm in the town. You may want to take a hat. Have a good walk."
"""Sentences that every system cuts: pipecat takes the `me.` of the backend's own default for an
abbreviation and would speak two sentences as one, 90 ms later."""
FIRST_SENTENCE_TOKENS: Final = 8
NOMINAL_MS: Final = (
    STT_MS + FIRST_TOKEN_MS + (FIRST_SENTENCE_TOKENS - 1) * TOKEN_MS + FIRST_AUDIO_MS
)
"""What the stages take from the end of the turn to the first audio, one after the other."""


def stages(slots: int | None) -> StageSettings:
    """Settings of the timed backends. `slots`: phrases the voice makes at once; None: any."""
    return {
        "stt": {"final_ms": STT_MS, "partial_ms": STT_MS, "text": "what is the weather like"},
        "llm": {"first_token_ms": FIRST_TOKEN_MS, "token_ms": TOKEN_MS, "text": REPLY},
        "tts": {
            "first_audio_ms": FIRST_AUDIO_MS,
            "rtf": 0.17,
            "ms_per_char": 60.0,
            "slots": slots,
        },
    }


def lead_samples(alignment: int, alignments: int) -> int:
    """Where in the grid the clip begins: equal steps over one period of both frame grids."""
    return GRID_MS * RATE // 1000 * (alignment % alignments) // alignments


def turns_of(call: int, calls: int, alignments: int) -> list[int]:
    """The alignments that a call speaks, in order; together the calls speak all of them.

    An even number, as turns go in pairs.
    """
    turns = max(LEAST_TURNS, 2 * math.ceil(alignments / calls / 2))
    return [(call * turns + turn) % alignments for turn in range(turns)]
