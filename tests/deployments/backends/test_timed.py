"""The timed stages keep time exactly."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import numpy as np
import pytest

from deployments.backends import BackendConfigError, stt_timed, tts_timed
from deployments.backends.llm_timed import TimedLanguageModel
from deployments.backends.stt_timed import TimedSpeechToText
from deployments.backends.tts_timed import TimedTextToSpeech
from deployments.contracts import Message, ReplyRequest, SpeechRequest, SpeechWindow
from tests import virtual_time

FINAL = SpeechWindow(bytes(3200), final=True)
PARTIAL = SpeechWindow(bytes(3200), final=False)


class Clock:
    """Time that passes only in sleep, or by hand."""

    def __init__(self) -> None:
        self.now = 50.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Pass at once."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock in place of both blocking stages' own."""
    clock = Clock()
    fake = SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep)
    monkeypatch.setattr(stt_timed, "time", fake)
    monkeypatch.setattr(tts_timed, "time", fake)
    return clock


def test_finals_and_partials_take_their_time(clock: Clock) -> None:
    """A batch takes as long as its slowest window."""
    stt = TimedSpeechToText(final_ms=80, partial_ms=30)
    for windows, expected_s in (([PARTIAL], 0.03), ([FINAL], 0.08), ([PARTIAL, FINAL], 0.08)):
        start = clock.now
        assert len(stt.transcribe(windows)) == len(windows)
        assert clock.now - start == pytest.approx(expected_s)


def test_texts_follow_the_finals(clock: Clock) -> None:  # noqa: ARG001
    """Partials hear the text of the turn under way; after the last text comes the first."""
    stt = TimedSpeechToText(text=["one", "two"])
    heard = [stt.transcribe([window])[0].text for window in (PARTIAL, FINAL, PARTIAL, FINAL, FINAL)]
    assert heard == ["one", "one", "two", "two", "one"]


def test_no_text_is_a_configuration_error() -> None:
    """An empty list could never be heard."""
    with pytest.raises(BackendConfigError, match="text"):
        TimedSpeechToText(text=[])


@virtual_time.in_virtual_time
async def test_tokens_come_on_time() -> None:
    """First token, then one each step, though the reader is slow with some."""
    clock = asyncio.get_running_loop().time
    start = clock()
    seen: list[tuple[str, float]] = []
    llm = TimedLanguageModel(first_token_ms=60, token_ms=15, text="one two  three four.")
    async for delta in llm.reply(ReplyRequest(())):
        seen.append((delta.text, round((clock() - start) * 1000, 3)))
        if len(seen) == 2:
            await asyncio.sleep(0.02)  # longer than a step: the next token waits ready
    assert seen == [("one ", 60), ("two  ", 75), ("three ", 95), ("four.", 105)]


def test_the_default_reply_has_three_sentences_and_eight_tokens_in_the_first() -> None:
    """The reply that the benchmark describes."""

    async def text() -> list[str]:
        return [delta.text async for delta in TimedLanguageModel().reply(ReplyRequest(()))]

    tokens = virtual_time.run(text())
    ends = [at for at, token in enumerate(tokens, 1) if token.strip().endswith(".")]
    assert len(ends) == 3
    assert ends[0] == 8


def test_what_was_said_can_be_said_back() -> None:
    """A caller of a load test hears that it is the one who is answered."""

    async def text(*messages: Message) -> str:
        llm = TimedLanguageModel(text="You said: {said}.")
        return "".join([delta.text async for delta in llm.reply(ReplyRequest(messages))])

    said = Message("user", "my word is a")
    earlier = (Message("user", "first"), Message("assistant", "second"))
    assert virtual_time.run(text(*earlier, said)) == "You said: my word is a."
    assert virtual_time.run(text()) == "You said: ."


def test_a_voice_may_be_a_frequency(clock: Clock) -> None:  # noqa: ARG001
    """Named in Hz; any other name is the usual tone."""

    def hz(voice: str | None) -> int:
        chunks = TimedTextToSpeech().speak(SpeechRequest("a" * 20, voice=voice))
        samples = np.frombuffer(b"".join(chunk.pcm for chunk in chunks), np.int16)
        return int(np.argmax(np.abs(np.fft.rfft(samples, 24_000))))

    assert [hz("660"), hz(None), hz("en-us")] == [660, 220, 220]


def test_audio_comes_on_time(clock: Clock) -> None:
    """First audio, then each chunk after its own length times rtf; 60 ms of audio a character."""
    tts = TimedTextToSpeech(first_audio_ms=100, rtf=0.5, ms_per_char=60)
    start = clock.now
    made = [(round((clock.now - start) * 1000), c) for c in tts.speak(SpeechRequest("abc d"))]
    assert [(at, c.duration_ms) for at, c in made] == [(100, 80), (140, 80), (180, 80), (210, 60)]
    assert [(w.start, w.end, w.at_ms) for _, c in made for w in c.words] == [(0, 3, 0), (4, 5, 240)]
    assert made[3][1].words != ()


def test_a_slow_reader_does_not_delay_the_voice(clock: Clock) -> None:
    """Chunks are due by the phrase's own clock."""
    tts = TimedTextToSpeech(first_audio_ms=100, rtf=0.5, ms_per_char=80)
    start = clock.now
    seen: list[float] = []
    for _ in tts.speak(SpeechRequest("abcd")):
        seen.append(round((clock.now - start) * 1000))
        if len(seen) == 1:
            clock.sleep(0.05)
    assert seen == [100, 150, 180, 220]


def test_the_tone_is_quiet_and_seamless(clock: Clock) -> None:  # noqa: ARG001
    """No click between chunks, 24 kHz, well under full scale but not silence."""
    chunks = list(TimedTextToSpeech().speak(SpeechRequest("hello there")))
    samples = np.frombuffer(b"".join(chunk.pcm for chunk in chunks), np.int16).astype(int)
    assert {chunk.rate for chunk in chunks} == {24_000}
    assert len(samples) == 11 * 60 * 24
    assert 500 < np.abs(samples).max() < 2_000
    assert np.abs(np.diff(samples)).max() < 100


def test_a_voice_says_how_many_slots_it_has() -> None:
    """None: any number."""
    assert TimedTextToSpeech(slots=2).load().slots == 2
    assert TimedTextToSpeech().load().slots is None


def test_slots_bound_how_many_are_made_at_once() -> None:
    """With one slot a second phrase starts only when the first is closed."""
    tts = TimedTextToSpeech(first_audio_ms=0, slots=1)
    first = tts.speak(SpeechRequest("one phrase"))
    next(first)
    assert tts._slots.acquire(blocking=False) is False  # type: ignore[union-attr]
    first.close()
    assert len(list(tts.speak(SpeechRequest("two")))) == 3


async def test_voices_do_not_wait_for_each_other() -> None:
    """Six phrases in six threads take as long as one, not six times as long."""
    tts = TimedTextToSpeech(first_audio_ms=100, rtf=0.1, ms_per_char=8)
    start = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(6):
            tasks.create_task(asyncio.to_thread(list, tts.speak(SpeechRequest("a" * 10))))
    assert time.monotonic() - start < 0.45
