"""How a conversation takes turns: the numbers the turn machine decides by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from serve_app.conversation.backchannel import WORDS
from serve_app.conversation.endpointing import EndpointingPolicy
from serve_app.conversation.playout import PlayoutPolicy
from serve_app.conversation.tooling import ToolPolicy


@dataclass(frozen=True, slots=True)
class TurnPolicy:
    """All times in ms.

    endpoint_ms         no shorter pause ends a turn; by itself one this long does
    judged_pauses       somebody judges whether a turn sounds complete; then `endpoint_ms` ends
                        only those that do
    unjudged_pause_ms   a pause this long ends a turn that nobody judged in time
    max_pause_ms        a pause this long ends a turn that does not sound complete
    spelling_pause_ms   the pause that ends a turn after digits and spelled letters
    speculate_after_ms  a pause this long may be the end: its transcript is asked for
    speculation         what starts on that transcript: nothing, a reply's text, or the reply
                        with its voice; both are held back until the turn is committed
    max_speculated_ms   nothing is started for turns with more speech than this
    max_revisions       pauses a turn went on after, though a reply was begun in them, before
                        nothing is started on its next ones
    revision_every_ms   one more of them is allowed for this much speech
    early_every_ms      a drop of the level may ask for a transcript before any pause: once for
                        this much speech
    prefix_ms           audio before the first voice that belongs to the turn
    partial_every_ms    speech between partial transcripts
    partial_window_ms   the longest window a partial is made of
    max_turn_ms         a turn is committed at this length
    min_interrupt_ms    speech that pauses a reply
    answer_ms           with less than this left of a reply, a word is no backchannel but an answer
    language            of the call, for the backchannels; None: any may be spoken
    resumes             the client can drop audio and have it again; else a pause recalls nothing,
                        and speech over a reply is told once words make it an interruption
    resume_after_ms     a paused reply goes on if no words came for this long
    stage_timeout_ms    a transcript, or a reply's first sound, later than this is a failure
    uplink_stall_ms     no audio for this long during speech counts as a pause
    incremental_stt     the recogniser keeps state: a pause feeds it, the commit finishes it
    """

    endpoint_ms: int = 500
    judged_pauses: bool = False
    unjudged_pause_ms: int = 500
    max_pause_ms: int = 1_500
    spelling_pause_ms: int = 1_200
    speculate_after_ms: int = 64
    speculation: Literal["off", "llm", "reply"] = "off"
    max_speculated_ms: int = 15_000
    max_revisions: int = 3
    revision_every_ms: int = 1_000
    early_every_ms: int = 250
    prefix_ms: int = 320
    partial_every_ms: int = 500
    partial_window_ms: int = 12_000
    max_turn_ms: int = 60_000
    min_interrupt_ms: int = 200
    resumes: bool = True
    resume_after_ms: int = 1_500
    answer_ms: int = 1_000
    stage_timeout_ms: int = 20_000
    uplink_stall_ms: int = 1_000
    idle_ms: int = 300_000
    max_call_ms: int = 3_600_000
    max_history_chars: int = 60_000
    incremental_stt: bool = False
    language: str | None = None
    backchannels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: WORDS)
    endpointing: EndpointingPolicy = field(default_factory=EndpointingPolicy)
    playout: PlayoutPolicy = field(default_factory=PlayoutPolicy)
    tools: ToolPolicy = field(default_factory=ToolPolicy)
