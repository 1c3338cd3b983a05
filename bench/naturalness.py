"""How often the agent is interrupted by what is no interruption, and how often by what is one.

Replies are played into rooms whose echo comes back at -20 dB, 50 to 300 ms later; over some of
them a caller with another voice barges in or nods. See bench/room.py.

    python -m bench.naturalness            50 scenes of each kind
    python -m bench.naturalness --scenes 10
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.room import Clip, Outcome, Scene, play
from deployments.backends import create
from deployments.backends.tts_espeak import Espeak
from deployments.contracts import SPEECH_RATE, SpeechRequest, SpokenWord
from serve_app.audio.pcm import to_float
from serve_app.audio.resample import resample_all

AGENT = "en-us+klatt4"
CALLERS = ("en-gb+f3", "en-us+m3")
DELAYS_MS = (50, 100, 150, 200, 250, 300)
AGENT_DBFS, CALLER_DBFS = -20.0, -25.0

REPLIES = """\
There are many ways from the station to the old town, and the nicest follows the river for a while.
I can offer you a table at half past seven or at a quarter to nine, both of them by the window.
Perhaps you could tell me a little more about your brother, as you have not spoken for long.
The museum opens at ten in the morning, closes at six in the evening, and is shut on Mondays.
Your order has left our warehouse this morning and should be there on Friday.
""".splitlines()

BARGE_INS = """\
Stop, I want something else.
Wait a moment please.
No, that is not what I meant.
Can you book the other one?
Hold on, what was the price again?
Actually, I need it for tomorrow.
Sorry, could you say that once more?
Let me ask you another question.""".splitlines()

NODS = """\
Mm hm.
Yeah.
Okay.
Right.
Uh huh.
Yes.
I see.
Okay, yeah.
Mm hm, right.
Sure.""".splitlines()


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a number of scenes of one kind."""

    scenes: int
    flushed: int
    cancelled: int
    resumed: int
    answered: int
    flush_ms: float

    def __str__(self) -> str:
        return (
            f"{self.scenes:6} {self.flushed:8} {self.cancelled:10} {self.resumed:8}"
            f" {self.answered:9} {self.flush_ms:9.0f}"
        )


class Voices:
    """Clips of the agent's and the callers' voices, levelled."""

    def __init__(self) -> None:
        espeak = create("tts", "espeak", {})
        assert isinstance(espeak, Espeak)
        espeak.load()
        self._espeak = espeak

    def clip(self, text: str, voice: str, dbfs: float) -> Clip:
        """`text`, spoken at that level."""
        chunks = list(self._espeak.speak(SpeechRequest(text, voice)))
        pcm = b"".join(chunk.pcm for chunk in chunks)
        samples = to_float(resample_all(pcm, chunks[0].rate, SPEECH_RATE))
        loud = samples[np.abs(samples) > 0.01 * np.abs(samples).max()]
        samples = samples * np.float32(10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(loud))))
        words = tuple(word for chunk in chunks for word in chunk.words)
        return Clip(text, np.clip(samples, -1, 1).astype(np.float32), words or _whole(text))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Interruptions, false and true.")
    parser.add_argument("--scenes", type=int, default=50)
    count: int = parser.parse_args().scenes
    voices = Voices()
    print(f"{'':<34} scenes  flushed  cancelled  resumed  answered  flush ms")
    for name, scenes in kinds(voices, count):
        print(f"{name:<34} {measure(scenes)}", flush=True)


def kinds(voices: Voices, count: int) -> Iterator[tuple[str, list[Scene]]]:
    """Every kind of scene, `count` of each."""
    echo = echoes(voices, count)
    yield "echo, no guard", [replace(scene, guard=False) for scene in echo]
    yield "echo", echo
    yield "echo, reverberant room (0 dB)", [replace(s, reverberation_db=0.0) for s in echo]
    yield "echo at -10 dB", [replace(scene, echo_db=-10.0) for scene in echo]
    talk = over(voices, echo, BARGE_INS)
    yield "barge-in over the echo", talk
    yield "barge-in over the echo, no guard", [replace(scene, guard=False) for scene in talk]
    yield "barge-in over an echo at -10 dB", [replace(scene, echo_db=-10.0) for scene in talk]
    yield "barge-in, no echo", [replace(scene, echo_db=-100.0) for scene in talk]
    nods = over(voices, echo, NODS)
    yield "backchannel, no echo", [replace(scene, echo_db=-100.0) for scene in nods]
    yield "backchannel over the echo", nods


def echoes(voices: Voices, count: int) -> list[Scene]:
    """Replies that nobody interrupts."""
    replies = [voices.clip(text, AGENT, AGENT_DBFS) for text in REPLIES]
    return [Scene(replies[n % len(replies)], DELAYS_MS[n % len(DELAYS_MS)]) for n in range(count)]


def over(voices: Voices, scenes: list[Scene], texts: Sequence[str]) -> list[Scene]:
    """The scenes with a caller who says one of the texts, 2 to 4 s into the call."""
    return [
        replace(
            scene,
            caller=voices.clip(texts[n % len(texts)], CALLERS[n % len(CALLERS)], CALLER_DBFS),
            caller_at_ms=2_000 + n * 370 % 2_000,
        )
        for n, scene in enumerate(scenes)
    ]


def measure(scenes: list[Scene]) -> Figures:
    """What became of the replies."""
    outcomes = [play(scene, seed) for seed, scene in enumerate(scenes)]
    flushes = [_first_flush(outcome) for outcome in outcomes if outcome.flushed_ms]
    return Figures(
        scenes=len(scenes),
        flushed=len(flushes),
        cancelled=sum(outcome.status == "interrupted" for outcome in outcomes),
        resumed=sum(outcome.resumed > 0 for outcome in outcomes),
        answered=sum(outcome.answered for outcome in outcomes),
        flush_ms=statistics.fmean(flushes) if flushes else 0.0,
    )


def _first_flush(outcome: Outcome) -> float:
    return outcome.flushed_ms[0]


def _whole(text: str) -> tuple[SpokenWord, ...]:
    return (SpokenWord(0, len(text), 0),)


if __name__ == "__main__":
    main()
