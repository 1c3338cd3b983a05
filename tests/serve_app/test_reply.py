"""One reply by itself: what it makes ahead, what it holds back, and how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from deployments.contracts import AudioChunk, Message, ReplyRequest, SpeechRequest
from serve_app.audio.downlink import Downlink
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.playout import Playout, PlayoutPolicy
from serve_app.dialects import AudioFormat
from serve_app.errors import StageFailed
from serve_app.reply import PHRASES_AHEAD, Reply, ReplyOptions
from tests.fakes import HANG, FakeStages, Script, audio_of, spoken
from tests.virtual_time import in_virtual_time

MESSAGES = (Message("user", "hi"),)
OPTIONS = ReplyOptions("anna", "en-GB", "http://llm/v1", "Sorry about that.")
SENTENCE = "Sentences of sixty characters or more become phrases alone here. "
"""2 s of audio, one phrase."""
SOUND = [AudioChunk(bytes(3_200), 16_000)]
"""0.1 s."""


@dataclass
class Rig:
    """A reply and what came of it."""

    stages: FakeStages
    playout: Playout = field(default_factory=lambda: Playout(PlayoutPolicy()))
    options: ReplyOptions = OPTIONS

    def __post_init__(self) -> None:
        self.sent: list[say.Announcement] = []
        self.events: list[ev.Event] = []
        self.reply = Reply(
            "reply-7",
            self.playout,
            self.stages,
            self.options,
            Downlink(AudioFormat("pcm16", None)),
            send=self.sent.append,
            report=self._report,
        )

    async def _report(self, event: ev.Event) -> None:
        self.events.append(event)

    def start(self) -> asyncio.Task[None]:
        """Run it."""
        return asyncio.create_task(self.reply.run(MESSAGES))

    @property
    def pcm(self) -> bytes:
        """All audio that was sent."""
        return b"".join(item.payload for item in self.sent if isinstance(item, say.ReplyAudio))


@in_virtual_time
async def test_a_reply_reports_its_progress_under_its_id() -> None:
    """Text as it is written, the first sound, the end; audio, and what it says, goes straight to
    the client."""
    rig = Rig(FakeStages(replies=[[0.25, "Good ", 0.1, "morning to you."]]))
    await rig.start()
    assert rig.events == [
        ev.ReplyTextWritten("reply-7", "Good "),
        ev.ReplyTextWritten("reply-7", "morning to you."),
        ev.ReplySpeaking("reply-7", 250, 0),
        ev.ReplyFinished("reply-7"),
    ]
    assert rig.sent[0] == say.PhraseBegun("reply-7", "Good morning to you.", 0)
    audio = [item for item in rig.sent[1:] if isinstance(item, say.ReplyAudio)]
    assert rig.sent[1:] == audio
    assert {item.reply_id for item in audio} == {"reply-7"}
    assert rig.pcm == audio_of("Good morning to you.")


def held_up(request: SpeechRequest) -> Script:
    """A voice at which speculative phrases wait for 9 s, others 0.1."""
    if request.urgency == "speculative":
        return [AudioChunk(b"", 16_000, queued=True), 9.0, AudioChunk(b"", 16_000), *SOUND]
    return [0.1, *SOUND]


@in_virtual_time
async def test_a_phrase_that_waits_is_asked_for_again_when_its_reply_is_released() -> None:
    """As the first phrase of a committed reply; the one that waits is given up."""
    stages = FakeStages(speak_as=held_up)
    rig = Rig(stages, Playout(PlayoutPolicy(), released=False))
    running = rig.start()
    await asyncio.sleep(1)
    rig.reply.wake()
    assert [work.request.urgency for work in stages.of("tts")] == ["speculative"]
    released_at = asyncio.get_running_loop().time()
    rig.playout.release()
    rig.reply.wake()
    rig.reply.wake()
    await asyncio.sleep(0.2)
    first, again = stages.of("tts")
    assert (first.how, again.how) == ("closed", "done")
    assert (again.request.text, again.request.urgency) == (first.request.text, "first")
    assert again.began_at == released_at
    await running
    assert rig.pcm == SOUND[0].pcm


@in_virtual_time
async def test_a_phrase_that_has_begun_is_not_asked_for_again() -> None:
    """The voice is at it: its first audio is the soonest there is."""
    waited = [AudioChunk(b"", 16_000, queued=True), 0.5, AudioChunk(b"", 16_000), 1.0, *SOUND]
    stages = FakeStages(speak_as=lambda _: waited)
    rig = Rig(stages, Playout(PlayoutPolicy(), released=False))
    running = rig.start()
    await asyncio.sleep(1)
    rig.playout.release()
    rig.reply.wake()
    await running
    assert len(stages.of("tts")) == 1
    assert rig.pcm == SOUND[0].pcm


@in_virtual_time
async def test_the_calls_choices_reach_the_stages() -> None:
    """Voice, language and server."""
    rig = Rig(FakeStages())
    await rig.start()
    assert rig.stages.of("llm")[0].request == ReplyRequest(MESSAGES, "http://llm/v1")
    asked = SpeechRequest("Good morning to you.", "anna", "en-GB", urgency="first")
    assert rig.stages.of("tts")[0].request == asked


@in_virtual_time
async def test_a_voice_that_lags_stops_the_reading_of_text() -> None:
    """What waits for the voice is bounded."""
    rig = Rig(FakeStages(replies=[[SENTENCE] * 40], speak_as=lambda _: [HANG]))
    task = rig.start()
    await asyncio.sleep(1)
    # One phrase is with the voice, PHRASES_AHEAD wait, one waits to wait.
    assert len(rig.events) == PHRASES_AHEAD + 2
    assert len(rig.stages.of("tts")) == 1
    task.cancel()
    await asyncio.wait([task])
    assert rig.stages.running == []


@in_virtual_time
async def test_audio_that_lags_stops_the_voice() -> None:
    """No phrase is spoken while more than 4 s of audio wait; all of it comes in the end."""
    rig = Rig(FakeStages(replies=[[SENTENCE] * 6]))
    task = rig.start()
    await asyncio.sleep(0.01)
    assert len(rig.stages.of("tts")) == 3
    await task
    assert rig.pcm == audio_of(*[SENTENCE.strip()] * 6)


def asked_for(rig: Rig) -> list[tuple[str, float]]:
    """How urgent each phrase was, and with what slack in ms."""
    requests = [work.request for work in rig.stages.of("tts")]
    return [(request.urgency, request.slack_ms) for request in requests]


@in_virtual_time
async def test_a_phrase_is_due_when_the_caller_has_heard_the_one_before() -> None:
    """The first at once; 0.1 s after its first sound 1.9 of its 2 s are still to be played."""

    def in_two_steps(request: SpeechRequest) -> Script:
        first, *rest = spoken(request.text)
        return [first, 0.1, *rest]

    rig = Rig(FakeStages(replies=[[SENTENCE * 2]], speak_as=in_two_steps))
    await rig.start()
    assert asked_for(rig) == [("first", 0), ("later", pytest.approx(1_900))]


@in_virtual_time
async def test_after_a_gap_there_is_no_slack_left() -> None:
    """The text came late: its phrase is a later one, and overdue."""
    rig = Rig(FakeStages(replies=[["Good morning to you. ", 5, "How are you?"]]))
    await rig.start()
    assert asked_for(rig) == [("first", 0), ("later", 0)]


@in_virtual_time
async def test_a_first_phrase_that_failed_leaves_the_next_one_first() -> None:
    """The caller has heard nothing yet."""
    failures = [StageFailed("tts", "no")]
    rig = Rig(
        FakeStages(
            replies=[["Good morning to you. How are you?"]],
            speak_as=lambda request: [failures.pop()] if failures else spoken(request.text),
        )
    )
    await rig.start()
    assert [urgency for urgency, _ in asked_for(rig)] == ["first", "first"]


@in_virtual_time
async def test_what_is_held_back_is_speculative_until_it_is_released() -> None:
    """Its audio waits here, and counts as what the caller has to hear."""
    replies = [["Good morning to you. ", 5, "How are you? ", SENTENCE, 5, SENTENCE]]
    rig = Rig(FakeStages(replies=replies), Playout(PlayoutPolicy(), released=False))
    task = rig.start()
    await asyncio.sleep(7)
    assert asked_for(rig) == [("speculative", 0), ("speculative", 800)]
    rig.playout.release()
    rig.reply.wake()
    await task
    assert [urgency for urgency, _ in asked_for(rig)[2:]] == ["later"]


@in_virtual_time
async def test_while_others_wait_for_the_voice_phrases_are_short() -> None:
    """From the phrase after the one that said so until one says no more; no word is lost."""

    def contended(request: SpeechRequest) -> Script:
        limit = 20 if len(request.text) > 20 or "phrases" in request.text else None
        return [replace(chunk, next_max_chars=limit) for chunk in spoken(request.text)]

    rig = Rig(FakeStages(replies=[[SENTENCE * 3]], speak_as=contended))
    await rig.start()
    texts = [work.request.text for work in rig.stages.of("tts")]
    pieces = ["Sentences of sixty", "characters or more", "become phrases", "alone here."]
    assert texts == [SENTENCE.strip(), *pieces, SENTENCE.strip()]
    assert rig.pcm == audio_of(*texts)


@in_virtual_time
async def test_a_reply_that_is_held_back_sends_nothing_until_it_is_released() -> None:
    """Then it sends at once what is there."""
    rig = Rig(FakeStages(), Playout(PlayoutPolicy(), released=False))
    task = rig.start()
    await asyncio.sleep(5)
    assert rig.sent == []
    rig.playout.release()
    rig.reply.wake()
    await asyncio.sleep(0)
    assert len(rig.sent) > 0
    await task
    assert rig.pcm == audio_of("Good morning to you.")


@in_virtual_time
async def test_a_reply_whose_voice_waits_for_the_release() -> None:
    """Its text is written ahead; nothing is spoken before it is released."""
    rig = Rig(FakeStages(), Playout(PlayoutPolicy(max_held_ms=0), released=False))
    task = rig.start()
    await asyncio.sleep(5)
    assert rig.events == [ev.ReplyTextWritten("reply-7", "Good morning to you.")]
    assert rig.stages.of("tts") == []
    rig.playout.release()
    rig.reply.wake()
    await task
    assert rig.pcm == audio_of("Good morning to you.")


@in_virtual_time
async def test_a_held_reply_that_fails_ends_at_once() -> None:
    """The turn machine starts another at the commit; no apology is made for nobody."""
    stages = FakeStages(replies=[["Good ", StageFailed("llm", "no")]])
    rig = Rig(stages, Playout(PlayoutPolicy(), released=False))
    await rig.start()
    told = ("stage_failed", "the language model is not available")
    assert rig.events[-1] == ev.ReplyFinished("reply-7", told)
    assert rig.stages.of("tts") == []


@in_virtual_time
async def test_a_paused_reply_keeps_what_it_has() -> None:
    """Paused and resumed: the rest follows from where the caller heard it to."""
    rig = Rig(FakeStages(replies=[[SENTENCE]]))
    task = rig.start()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(1)
    rig.playout.pause(loop.time())
    rig.reply.wake()
    before = len(rig.pcm)
    await asyncio.sleep(3)
    assert len(rig.pcm) == before
    from_ms = rig.playout.resume()
    rig.reply.wake()
    await task
    assert rig.pcm[:before][: from_ms * 32] + rig.pcm[before:] == audio_of(SENTENCE.strip())


@in_virtual_time
async def test_the_first_failure_is_told() -> None:
    """The model failed, then the voice failed on the apology: the model's is the cause."""
    stages = FakeStages(
        replies=[[StageFailed("llm", "no")]], speak_as=lambda _: [StageFailed("tts", "no")]
    )
    rig = Rig(stages)
    await rig.start()
    told = ("stage_failed", "the language model is not available")
    assert rig.events == [ev.ReplyFinished("reply-7", told)]


@in_virtual_time
async def test_markup_is_not_spoken() -> None:
    """The client reads what the model wrote, the voice gets what can be said."""
    rig = Rig(FakeStages(replies=[["**Good** `morning` to you."]]))
    await rig.start()
    assert rig.events[0] == ev.ReplyTextWritten("reply-7", "**Good** `morning` to you.")
    assert "*" not in rig.stages.of("tts")[0].request.text
