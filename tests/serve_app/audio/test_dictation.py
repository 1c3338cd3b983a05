"""A number dictated aloud, through the real voice detector and the turn machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deployments.contracts import Transcript
from serve_app.audio.resample import resample_all
from serve_app.audio.uplink import Uplink
from serve_app.audio.vad import SileroVad
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import Command, JudgePause, Tell, Transcribe
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.turn import TurnMachine
from serve_app.dialects import AudioFormat

DIGITS = ("five", "seven", "three", "nine", "two", "six", "eight", "four", "zero", "one") * 2
GAP = bytes(700 * 32)
FRAME = 320 * 2
NOW = 1.0


@pytest.fixture(scope="module")
def dictation() -> bytes:
    """Twenty digits, 700 ms of silence between them and 2 s after them."""
    script = Path(__file__).with_name("synthesise.py")
    voices: dict[str, bytes] = {}
    for digit in sorted(set(DIGITS)):
        spoken = subprocess.run(
            [sys.executable, str(script), digit], capture_output=True, check=True, timeout=30
        ).stdout
        samples = np.frombuffer(resample_all(spoken, 22_050, 16_000), "<i2")
        first, last = np.flatnonzero(np.abs(samples) > 300)[[0, -1]]
        voices[digit] = samples[first:last].tobytes()
    return GAP + GAP.join(voices[digit] for digit in DIGITS) + bytes(64_000)


def heard(pcm: bytes, policy: TurnPolicy, words: dict[int, str]) -> list[say.FinalTranscript]:
    """The finals of a call whose recogniser hears a digit at each pause, and whose judge is sure.

    `words`: what there is to hear by how many pauses there were.
    """
    uplink = Uplink(AudioFormat("pcm16", 16_000), SileroVad(), 120_000)
    machine = TurnMachine(policy, "", NOW)
    finals: list[say.FinalTranscript] = []
    pauses = 0
    for at in range(0, len(pcm), FRAME):
        for frame in uplink.accept(pcm[at : at + FRAME]):
            inbox: list[ev.Event] = [frame]
            while inbox:
                for command in machine.handle(inbox.pop(0), NOW + frame.end_ms / 1000):
                    pauses += isinstance(command, Transcribe) and command.final
                    inbox += _answer(command, words.get(pauses, ""))
                    if isinstance(command, Tell) and isinstance(
                        command.announcement, say.FinalTranscript
                    ):
                        finals.append(command.announcement)
    return finals


def _answer(command: Command, words: str) -> list[ev.Event]:
    if isinstance(command, Transcribe):
        return [ev.TranscriptReady(command.window_id, Transcript(words))]
    if isinstance(command, JudgePause):
        return [ev.PauseJudged(command.pause_id, 0.99)]
    return []


@pytest.mark.parametrize("judged", [False, True])
@pytest.mark.parametrize("patient", [False, True])
def test_twenty_dictated_digits(judged: bool, patient: bool, dictation: bytes) -> None:
    """One turn; without the patience for digits each of them would be one."""
    policy = TurnPolicy(
        endpoint_ms=200 if judged else 500,
        judged_pauses=judged,
        spelling_pause_ms=1_200 if patient else 0,
    )
    words = {count: " ".join(DIGITS[:count]) for count in range(1, 60)}
    finals = heard(dictation, policy, words)
    assert len(finals) == (1 if patient else 20)
