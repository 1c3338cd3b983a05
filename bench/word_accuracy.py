"""How well the embedded recogniser understands the embedded voice, and voices of flite.

Speaks a fixed set of sentences, transcribes each in pieces of half a second as a call does, and
prints the word error rate of every voice and decoder setting asked for.

    python -m bench.word_accuracy                                  the defaults, and flite's voices
    python -m bench.word_accuracy --voice en-us en-us+klatt2 --wpm 140 160
    python -m bench.word_accuracy --language-weight 5 6.5 --initial-mean 40 55
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import soxr

from deployments.backends import create
from deployments.backends.stt_pocketsphinx import Pocketsphinx
from deployments.backends.tts_espeak import Espeak
from deployments.contracts import SPEECH_RATE, SpeechRequest

PIECE = SPEECH_RATE // 2 * 2
"""Bytes that are fed at once: half a second."""
QUIET = bytes(SPEECH_RATE // 5 * 2)
"""200 ms before and after, as end-pointing leaves them."""

CALLER = """\
hello how are you today
what is your name
can you help me
i need some help with my computer
what time do you open tomorrow
i want to talk about my family
my mother does not listen to me
i am feeling very tired
i feel sad because my friend is gone
why can not i sleep at night
do you think i should change my job
i think that you are right
where is the nearest hospital
how far is it to the station
i would like to order a pizza
please tell me a story
what is the weather like today
i am sorry i was late
yes i am sure about that
i remember my father well
when does the next train leave
how much does it cost
i do not know what to do
is it going to rain this week
can we talk about something else
i have two brothers and a sister""".splitlines()

ANSWERS = """\
hello how are you feeling today
are you sure you need some help
would it really help you to have a new job
do you think you should be able to sleep
what would you do if you could sleep
perhaps the answer lies within yourself
why are you so interested in what i am
how long have you been feeling tired
how do you feel about being sad
do you often feel sad
when you feel sad what do you do
tell me more about your mother
what was your relationship with your mother like
how do you feel about your mother
did you have close friends as a child
please tell me more
can you elaborate on that
why do you say that
how does that make you feel
i see and what does that tell you
let us change focus a bit tell me about your family
there are many times when no apology is needed
you seem quite sure
do computers seem strange to you
what does that question really mean to you
thank you for talking with me""".splitlines()

Voice = Callable[[str], bytes]
"""A sentence's speech at SPEECH_RATE."""


@dataclass(frozen=True, slots=True)
class Score:
    """One row: word error rates, and how long decoding took."""

    caller: float
    answers: float
    rtf: float
    final_ms: float


def main() -> None:
    """Print the table that the command line asks for."""
    options = _options()
    print(f"{'voice':<24} {'decoder':<34} callers answers    all    RTF  final ms")
    for settings in _decoders(options):
        recogniser = create("stt", "pocketsphinx", settings)
        assert isinstance(recogniser, Pocketsphinx)
        recogniser.load()
        shown = " ".join(f"{key}={value}" for key, value in settings.items()) or "default"
        for name, voice in _voices(options):
            score = measure(voice, recogniser)
            both = (score.caller + score.answers) / 2
            print(
                f"{name:<24} {shown:<34} {score.caller:7.3f} {score.answers:7.3f} {both:6.3f}"
                f" {score.rtf:6.3f} {score.final_ms:9.1f}",
                flush=True,
            )
        recogniser.close()


def measure(voice: Voice, recogniser: Pocketsphinx) -> Score:
    """Word error rates of a voice over both sets; the slowest final in ms."""
    spent = audio = slowest = 0.0
    errors: list[float] = []
    for sentences in (CALLER, ANSWERS):
        heard: list[str] = []
        for sentence in sentences:
            pcm = QUIET + voice(sentence) + QUIET
            start = time.perf_counter()
            stream = recogniser.open("en")
            for at in range(0, len(pcm), PIECE):
                stream.feed(pcm[at : at + PIECE])
            fed = time.perf_counter()
            heard.append(stream.finish().text)
            end = time.perf_counter()
            stream.close()
            spent, audio = spent + end - start, audio + len(pcm) / 2 / SPEECH_RATE
            slowest = max(slowest, (end - fed) * 1000)
        errors.append(jiwer.wer(list(sentences), heard))
    return Score(errors[0], errors[1], spent / audio, slowest)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--voice", nargs="*", help="espeak voices (default: the backend's)")
    parser.add_argument("--wpm", nargs="*", type=int)
    parser.add_argument("--pitch", nargs="*", type=int)
    parser.add_argument("--pitch-range", nargs="*", type=int)
    parser.add_argument("--language-weight", nargs="*", type=float)
    parser.add_argument("--word-penalty", nargs="*", type=float)
    parser.add_argument("--beam", nargs="*", type=float)
    parser.add_argument("--initial-mean", nargs="*", type=float)
    parser.add_argument("--flite", nargs="*", default=["awb", "slt"], help="flite voices")
    return parser.parse_args()


def _grid(options: argparse.Namespace, keys: tuple[str, ...]) -> Iterator[dict[str, object]]:
    """Every combination of the settings that were given."""
    given = [key for key in keys if getattr(options, key)]
    for values in itertools.product(*(getattr(options, key) for key in given)):
        yield dict(zip(given, values, strict=True))


def _decoders(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    return _grid(options, ("language_weight", "word_penalty", "beam", "initial_mean"))


def _voices(options: argparse.Namespace) -> Iterator[tuple[str, Voice]]:
    for settings in _grid(options, ("voice", "wpm", "pitch", "pitch_range")):
        speaker = create("tts", "espeak", settings)
        assert isinstance(speaker, Espeak)
        speaker.load()
        shown = " ".join(str(value) for value in settings.values()) or "default"
        yield f"espeak {shown}", espeak_voice(speaker)
    if shutil.which("flite"):
        for name in options.flite:
            yield f"flite {name}", flite_voice(name)


def espeak_voice(speaker: Espeak) -> Voice:
    """A loaded espeak backend as a voice."""

    def speak(sentence: str) -> bytes:
        chunks = list(speaker.speak(SpeechRequest(sentence)))
        return _at_speech_rate(b"".join(chunk.pcm for chunk in chunks), chunks[0].rate)

    return speak


def flite_voice(name: str) -> Voice:
    """A voice of the flite program."""

    def speak(sentence: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "speech.wav")
            command = ["flite", "-voice", name, "-t", sentence, "-o", str(path)]
            subprocess.run(command, check=True, capture_output=True)
            with wave.open(str(path)) as file:
                return _at_speech_rate(file.readframes(file.getnframes()), file.getframerate())

    return speak


def _at_speech_rate(pcm: bytes, rate: int) -> bytes:
    samples = np.frombuffer(pcm, np.int16)
    if rate != SPEECH_RATE:
        samples = soxr.resample(samples, rate, SPEECH_RATE)
    return samples.astype(np.int16).tobytes()


if __name__ == "__main__":
    main()
