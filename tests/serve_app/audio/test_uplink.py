"""serve_app.audio.uplink"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.audio import codecs
from serve_app.audio.codecs import native_available, new_encoder
from serve_app.audio.echo import EchoGuard
from serve_app.audio.level import LevelTracker
from serve_app.audio.pcm import Samples, level_dbfs
from serve_app.audio.resample import resample_all
from serve_app.audio.uplink import Uplink
from serve_app.audio.vad import FRAME_MS, EnergyVad, SileroVad
from serve_app.audio.vad_batch import VadBatch
from serve_app.conversation.endpointing import (
    ONE_BY_ONE,
    Endpointer,
    EndpointingPolicy,
    FramesTogether,
)
from serve_app.conversation.events import LevelDropped, LevelRose, VoiceFrame
from serve_app.dialects import AudioFormat
from serve_app.errors import PeerError

Tone = Callable[[float, int, float], bytes]
RATES = [8000, 16_000, 24_000, 48_000]


class LevelDetector:
    """Answers with the frame's level, so that a frame's answer tells which samples it held."""

    def push(self, frame: Samples) -> float:
        assert frame.shape == (512,)
        return level_dbfs(frame)


@pytest.fixture(params=["native", "pyav"])
def opus_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two Opus libraries."""
    if request.param == "native" and not native_available():
        pytest.skip("no libopus on this machine")
    monkeypatch.setattr(codecs, "native_available", lambda: request.param == "native")


def pcm16(rate: int, keep_ms: int = 2000) -> Uplink:
    """An uplink of PCM16."""
    return Uplink(AudioFormat("pcm16", rate), LevelDetector(), keep_ms)


def levelled() -> Uplink:
    """An uplink that tells drops of the level."""
    return Uplink(AudioFormat("pcm16", 16_000), LevelDetector(), 9_000, level=LevelTracker())


def opus_packets(pcm: bytes) -> list[bytes]:
    """16 kHz PCM as Opus, 20 ms a packet."""
    encoder = new_encoder(16_000)
    whole = len(pcm) // 640 * 640
    return [encoder.encode(pcm[at : at + 640]) for at in range(0, whole, 640)]


def pieces(payload: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Cut into pieces of these many samples, over and over."""
    at = turn = 0
    while at < len(payload):
        size = 2 * sizes[turn % len(sizes)]
        yield payload[at : at + size]
        at, turn = at + size, turn + 1


@settings(max_examples=40, deadline=None)
@given(
    rate=st.sampled_from([*RATES, 44_100]),
    length=st.integers(0, 30_000),
    sizes=st.lists(st.integers(1, 6000), min_size=1, max_size=5),
    keep_ms=st.integers(32, 1500),
    start_ms=st.integers(0, 3000),
    span_ms=st.integers(0, 3000),
)
def test_messages_may_be_cut_anywhere(
    rate: int, length: int, sizes: list[int], keep_ms: int, start_ms: int, span_ms: int
) -> None:
    """The same bytes in any pieces give the same frames, windows and times."""
    samples = np.random.default_rng(length).normal(0, 4000, length)
    payload = np.clip(samples, -32_768, 32_767).astype("<i2").tobytes()
    whole, cut = pcm16(rate, keep_ms), pcm16(rate, keep_ms)
    frames = whole.accept(payload)
    assert [frame for piece in pieces(payload, sizes) for frame in cut.accept(piece)] == frames
    assert (cut.received_ms, cut.oldest_ms) == (whole.received_ms, whole.oldest_ms)
    window = whole.window(start_ms, start_ms + span_ms)
    assert cut.window(start_ms, start_ms + span_ms) == window
    assert len(window) <= keep_ms * 32


def test_frames_end_every_32_ms() -> None:
    """A frame is reported by the message that completes it, with its end in call time."""
    uplink = pcm16(16_000)
    assert uplink.accept(bytes(1022)) == []
    assert uplink.accept(bytes(2)) == [VoiceFrame(-96.0, 32)]
    assert [frame.end_ms for frame in uplink.accept(bytes(3 * 1024))] == [64, 96, 128]
    assert uplink.received_ms == 128


def test_a_window_is_exactly_what_was_sent() -> None:
    """At 16 kHz nothing is converted: the bytes of that stretch come back."""
    uplink = pcm16(16_000)
    sent = np.arange(16_000, dtype="<i2").tobytes()
    uplink.accept(sent)
    assert uplink.window(100, 350) == sent[3200:11_200]
    assert uplink.window(900, 5000) == sent[28_800:]
    assert uplink.window(-50, 10) == sent[:320]
    assert uplink.window(300, 300) == uplink.window(400, 300) == b""


def test_only_the_last_stretch_is_kept() -> None:
    """An earlier window begins at `oldest_ms`."""
    uplink = pcm16(16_000, keep_ms=250)
    sent = np.arange(16_000, dtype="<i2").tobytes()
    for piece in pieces(sent, [320]):
        uplink.accept(piece)
    assert (uplink.oldest_ms, uplink.received_ms) == (750, 1000)
    assert uplink.window(0, 1000) == sent[-8000:]
    assert uplink.window(0, 700) == b""


def test_a_clipped_window_begins_on_a_whole_millisecond() -> None:
    """So that `oldest_ms` is its exact time, wherever the last message ended."""
    uplink = pcm16(16_000, keep_ms=250)
    sent = np.arange(16_007, dtype="<i2").tobytes()
    uplink.accept(sent)
    assert (uplink.oldest_ms, uplink.received_ms) == (751, 1000)
    assert uplink.window(0, 1000) == sent[751 * 32 : 1000 * 32]


@pytest.mark.parametrize("rate", RATES)
def test_speech_is_heard_at_every_rate(rate: int, speech: bytes) -> None:
    """The detector finds the sentence, and the window holds it, whatever the client's rate."""
    uplink = Uplink(AudioFormat("pcm16", rate), SileroVad(), 20_000)
    payload = resample_all(speech, 16_000, rate)
    frames = [frame for part in pieces(payload, [rate // 50]) for frame in uplink.accept(part)]
    assert np.mean([frame.probability > 0.5 for frame in frames[18:-20]]) > 0.6
    assert max(frame.probability for frame in frames[:14]) < 0.5
    assert uplink.received_ms == pytest.approx(len(speech) / 32, abs=3)
    heard = np.frombuffer(uplink.window(0, uplink.received_ms), "<i2").astype(float)
    said = np.frombuffer(speech, "<i2").astype(float)[: len(heard)]
    assert np.std(heard) == pytest.approx(np.std(said), rel=0.1)


@pytest.mark.usefixtures("opus_library")
def test_speech_is_heard_in_opus(speech: bytes) -> None:
    """One packet a message; rates in the format do not matter to Opus."""
    uplink = Uplink(AudioFormat("opus", None), SileroVad(), 20_000)
    frames = [frame for packet in opus_packets(speech) for frame in uplink.accept(packet)]
    assert np.mean([frame.probability > 0.5 for frame in frames[18:-20]]) > 0.6
    assert max(frame.probability for frame in frames[:14]) < 0.5
    assert uplink.received_ms == pytest.approx(len(speech) / 32, abs=22)


@pytest.mark.usefixtures("opus_library")
@pytest.mark.parametrize("packet", [b"", b"\xff", b"RIFF....WAVE", bytes(10_000)])
def test_a_bad_packet_changes_nothing(packet: bytes, tone: Tone) -> None:
    """It is refused with a typed error, no time passes, the call goes on."""
    packets = opus_packets(tone(440, 16_000, 1.0))
    uplink, other = (Uplink(AudioFormat("opus", None), LevelDetector(), 2000) for _ in range(2))
    for good in packets[:20]:
        uplink.accept(good)
        other.accept(good)
    before = uplink.received_ms
    with pytest.raises(PeerError) as caught:
        uplink.accept(packet)
    assert (caught.value.code, caught.value.close_code) == ("invalid_audio", None)
    assert uplink.received_ms == before
    for good in packets[20:]:
        assert uplink.accept(good) == other.accept(good)


def test_half_a_sample_changes_nothing() -> None:
    """An odd number of bytes is refused whole: the stream stays aligned."""
    uplink = pcm16(16_000)
    uplink.accept(bytes(640))
    with pytest.raises(PeerError) as caught:
        uplink.accept(b"\x01" * 641)
    assert (caught.value.code, caught.value.close_code) == ("invalid_audio", None)
    assert uplink.received_ms == 20
    assert not any(uplink.window(0, 20))


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_one_message_may_not_carry_too_much(rate: int) -> None:
    """30 s is the limit: at it the message is taken, above it the call is closed (1009)."""
    uplink = Uplink(AudioFormat("pcm16", rate), EnergyVad(), 1000)
    assert len(uplink.accept(bytes(rate * 2 * 30))) == 937
    with pytest.raises(PeerError) as caught:
        uplink.accept(bytes(rate * 2 * 30 + 2))
    assert (caught.value.code, caught.value.close_code) == ("message_too_big", 1009)
    assert uplink.received_ms == pytest.approx(30_000, abs=3)


def test_a_smaller_limit_is_kept() -> None:
    """The limit is the caller's to choose."""
    uplink = Uplink(AudioFormat("pcm16", 16_000), EnergyVad(), 1000, max_message_ms=100)
    with pytest.raises(PeerError, match=r"0\.1 s"):
        uplink.accept(bytes(3202))


@given(sizes=st.lists(st.integers(50, 5_000), min_size=1, max_size=4))
@settings(max_examples=20)
def test_drops_of_the_level_come_in_order(sizes: list[int]) -> None:
    """Between the frames that were heard before and after them, however messages are cut."""
    random = np.random.default_rng(0)
    loud, quiet = random.integers(-9_000, 9_000, 8_000), np.zeros(3_000)
    pcm = np.concatenate((quiet, loud, quiet, loud, quiet)).astype("<i2").tobytes()
    uplink, whole = levelled(), levelled()
    events = [event for piece in pieces(pcm, sizes) for event in uplink.accept(piece)]
    assert events == whole.accept(pcm)
    levels = [event for event in events if not isinstance(event, VoiceFrame)]
    assert levels == [
        LevelDropped(690, 705),
        LevelRose(875),
        LevelDropped(1375, 1390),
    ]


def test_the_end_of_speech_is_told_before_the_detector_knows_it(speech: bytes) -> None:
    """By the level, 20 ms and more ahead of the last frame that Silero takes for voice."""
    uplink = Uplink(AudioFormat("pcm16", 16_000), SileroVad(), 9_000, level=LevelTracker())
    events = uplink.accept(bytes(16_000) + speech + bytes(32_000))
    voiced = [e.end_ms for e in events if isinstance(e, VoiceFrame) and e.probability > 0.35]
    drops = [event.heard_ms for event in events if isinstance(event, LevelDropped)]
    assert voiced[-1] - 200 < drops[-1] < voiced[-1] - 20


def test_silence_for_ever_takes_no_memory() -> None:
    """Ten minutes of silence leave no more behind than a second."""
    uplink = Uplink(AudioFormat("pcm16", 8000), EnergyVad(), 1000)
    piece = bytes(320)
    for _ in range(200):
        uplink.accept(piece)
    tracemalloc.start()
    for _ in range(30_000):
        uplink.accept(piece)
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert current < 10_000


def test_pcm_without_a_rate_is_our_bug() -> None:
    """A dialect must name the rate of raw samples."""
    with pytest.raises(ValueError, match="rate"):
        Uplink(AudioFormat("pcm16", None), LevelDetector(), 1000)


def test_the_agents_own_voice_is_no_voice(speech: bytes) -> None:
    """What was overheard comes back and counts for silence, until it is recalled."""
    guarded = Uplink(AudioFormat("pcm16", 16_000), SileroVad(), 1000, echo=EchoGuard())
    said = speech[16_000:48_000]
    guarded.overhear(said, 16_000)
    frames = guarded.accept(bytes(3200) + said)
    assert np.mean([frame.probability > 0.5 for frame in frames]) < 0.1
    guarded.accept(bytes(32_000))
    guarded.overhear(said, 16_000)
    guarded.recall_overheard()
    assert np.mean([frame.probability > 0.5 for frame in guarded.accept(said)]) > 0.6


def test_without_a_guard_nothing_is_overheard(speech: bytes) -> None:
    """A client that cancels its echo needs none."""
    plain = Uplink(AudioFormat("pcm16", 16_000), SileroVad(), 1000)
    plain.overhear(speech, 16_000)
    plain.recall_overheard()
    assert max(frame.probability for frame in plain.accept(speech)) > 0.5


# Patience


class FirstSample:
    """Answers with the frame's first sample, so that a test says which frames are voice."""

    def push(self, frame: Samples) -> float:
        return float(frame[0])


class Always:
    """Knows one answer."""

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def push(self, _frame: Samples) -> float:
        return self._probability


def frame_of(probability: float) -> bytes:
    """A frame that FirstSample answers with about this."""
    return np.full(512, probability * 32_767, "<i2").tobytes()


SILENCE = FramesTogether(3, 1)
SPEECH = FramesTogether(1, 2)


def probing(batch: VadBatch | None = None) -> Uplink:
    """An uplink whose frames say themselves how likely they are voice."""
    return Uplink(AudioFormat("pcm16", 16_000), FirstSample(), 2000, batch=batch)


def counts(uplink: Uplink, probabilities: list[float], together: FramesTogether) -> list[int]:
    """How many frames each message of one frame brings."""
    return [len(uplink.accept(frame_of(value), together)) for value in probabilities]


def test_silent_frames_wait_for_each_other() -> None:
    """Three at a time, in order, with their own times; none is lost."""
    uplink = probing()
    assert counts(uplink, [0.0] * 6, SILENCE) == [1, 0, 0, 3, 0, 0]
    last = uplink.accept(frame_of(0.6), SILENCE)
    assert [frame.end_ms for frame in last] == [160, 192, 224]
    assert [round(frame.probability, 1) for frame in last] == [0.0, 0.0, 0.6]


def test_silent_frames_do_not_wait_in_a_turn() -> None:
    """The first of them brings those that waited."""
    uplink = probing()
    assert counts(uplink, [0.0] * 3, SILENCE) == [1, 0, 0]
    assert counts(uplink, [0.0] * 3, SPEECH) == [3, 1, 1]


def test_sure_voice_waits_for_the_next_frame_in_a_turn() -> None:
    """Two at a time, until one is not surely voice."""
    assert counts(probing(), [0.9, 0.9, 0.9, 0.9, 0.7, 0.9, 0.9, 0.9], SPEECH) == [
        *(1, 0, 2, 0, 2),
        *(1, 0, 2),
    ]


def test_over_a_reply_no_frame_waits() -> None:
    """Whatever is heard."""
    assert counts(probing(), [0.9, 0.9, 0.0, 0.0, 0.0], ONE_BY_ONE) == [1] * 5


def test_no_frame_waits_after_something_like_voice() -> None:
    """Until a frame is surely none."""
    uplink = probing()
    assert counts(uplink, [0.3, 0.6, 0.3, 0.1, 0.1, 0.1, 0.1], SILENCE) == [
        *(1, 1, 1, 1),
        *(0, 0, 3),
    ]


def test_frames_that_wait_can_be_had_at_once() -> None:
    """What comes after them in the call must not overtake them."""
    uplink = probing()
    assert counts(uplink, [0.0, 0.0, 0.0], SILENCE) == [1, 0, 0]
    assert [frame.end_ms for frame in uplink.judge_waiting()] == [64, 96]
    assert uplink.judge_waiting() == []


def test_a_drop_of_the_level_brings_the_frames_that_wait() -> None:
    """The machine hears of a drop with all that was heard before it."""
    loud = np.tile(np.array([8000, -8000], "<i2"), 256).tobytes()
    steady = Uplink(AudioFormat("pcm16", 16_000), Always(0.9), 2000, level=LevelTracker())
    assert [len(steady.accept(loud, SPEECH)) for _ in range(20)] == [1, *[0, 2] * 9, 0]
    events = steady.accept(bytes(1024), SPEECH)
    assert [type(event) for event in events] == [VoiceFrame, LevelDropped, VoiceFrame]


def known(
    probabilities: list[float], silence: FramesTogether, speech: FramesTogether
) -> list[tuple[int, str]]:
    """When a turn began, and when it had paused for 64 ms: the messages that showed it."""
    uplink, endpointer = probing(), Endpointer(EndpointingPolicy())
    shown: list[tuple[int, str]] = []
    for number, probability in enumerate(probabilities):
        together = speech if endpointer.speaking else silence
        for frame in uplink.accept(frame_of(probability), together):
            spoke, paused = endpointer.speaking, endpointer.pause_ms >= 64
            endpointer.hear(frame)
            if endpointer.speaking and not spoke:
                shown.append((number, "speech"))
            if endpointer.pause_ms >= 64 and not paused:
                shown.append((number, "pause"))
    return shown


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.4, 0.6, 0.9]), max_size=60))
def test_nothing_is_decided_later_for_frames_that_wait(probabilities: list[float]) -> None:
    """The message that opens a turn, and the one that makes a pause, are the same."""
    assert EndpointingPolicy().start_ms == SILENCE.silent * FRAME_MS
    eager = known(probabilities, ONE_BY_ONE, ONE_BY_ONE)
    assert known(probabilities, SILENCE, SPEECH) == eager


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.6, 0.9])), max_size=60))
def test_calls_of_one_batch_hear_what_they_hear_alone(said: list[tuple[int, float]]) -> None:
    """The same frames, at the same messages, whoever else is judged with them."""
    batch = VadBatch()
    together, alone = [probing(batch) for _ in range(3)], [probing() for _ in range(3)]
    for call, probability in said:
        frame = frame_of(probability)
        assert together[call].accept(frame, SILENCE) == alone[call].accept(frame, SILENCE)
