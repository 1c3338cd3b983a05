"""The caller's turns: opening, partials, pauses, commits, transcripts that come, fail or not."""

from __future__ import annotations

import pytest

from deployments.contracts import Word
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import FinalTranscript, SpeechStarted, SpeechStopped
from serve_app.conversation.commands import CancelReply, Tell
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, asked, asked_final, started

INCREMENTAL = TurnPolicy(incremental_stt=True)


def answered(reply_id: str, *contents: str) -> list[object]:
    """A reply to what the caller said starts; nothing was heard of any before it."""
    messages = [("user", content) for content in contents]
    return [started(reply_id, *messages), Tell(say.ReplyStarted(reply_id))]


def final(text: str, start_ms: int, end_ms: int) -> Tell:
    """The client is told a final transcript without word times."""
    return Tell(FinalTranscript(text, start_ms, end_ms))


def error(code: str, message: str) -> Tell:
    """The client is told of an error."""
    return Tell(say.CallError(code, message))


# Turns open and are committed


def test_speech_opens_a_turn() -> None:
    """Three frames of voice open a turn at the first of them."""
    play = Playbook(TurnPolicy())
    play.silence(320) >> []
    play.speech(64) >> []
    play.speech(32) >> [Tell(SpeechStarted(320))]


def test_click_opens_none() -> None:
    """Clicks, however many, are no speech: nothing is told and nothing transcribed."""
    play = Playbook(TurnPolicy())
    for _ in range(20):
        play.speech(64) >> []
        play.silence(128) >> []


def test_pause_commits_turn_with_transcript_asked_at_candidate() -> None:
    """The final is asked for at 64 ms of silence; when it comes late the reply starts on it."""
    play = Playbook(TurnPolicy())
    play.speech(320) >> [Tell(SpeechStarted(0))]
    play.silence(64) >> [asked_final(1, 0, 384)]
    play.silence(416) >> []
    play.silence(32) >> [Tell(SpeechStopped(320))]
    play.transcript("hello") >> [final("hello", 0, 320), *answered("reply-1", "hello")]


def test_transcript_before_commit_waits_for_it() -> None:
    """A candidate's transcript is the final of the commit: nothing is transcribed twice."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64) >> [asked_final(1, 0, 384)]
    play.transcript(" hello ") >> []
    play.silence(416) >> []
    play.silence(32) >> [
        Tell(SpeechStopped(320)),
        final("hello", 0, 320),
        *answered("reply-1", "hello"),
    ]


def test_short_pause_goes_on_and_drops_the_candidate() -> None:
    """Speech after a pause makes the candidate void; the next covers the whole turn."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(416) >> [asked_final(1, 0, 384)]
    play.transcript("hello") >> []
    play.speech(64) >> [asked(2, 0, 800)]
    play.transcript("hello wor") >> []
    play.speech(64) >> []
    play.silence(512) >> [asked_final(3, 0, 928), Tell(SpeechStopped(864))]
    play.transcript("hello", window_id=1) >> []
    play.transcript("hello world") >> [
        final("hello world", 0, 864),
        *answered("reply-1", "hello world"),
    ]


def test_candidate_is_the_guess_of_a_speculative_reply() -> None:
    """With speculation a candidate's words start a reply, and going on drops it."""
    play = Playbook(TurnPolicy(speculation="reply"))
    play.speech(320)
    play.silence(64)
    play.transcript("hello") >> [started("reply-1", ("user", "hello"))]
    play.speech(64) >> [CancelReply("reply-1")]


def test_empty_candidate_is_no_guess() -> None:
    """Noise in a pause starts nothing."""
    play = Playbook(TurnPolicy(speculation="reply"))
    play.speech(320)
    play.silence(64)
    play.transcript("") >> []


def test_click_in_a_pause_leaves_the_candidate() -> None:
    """A lone frame of voice neither ends the pause nor asks again."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64) >> [asked_final(1, 0, 384)]
    play.speech(32) >> []
    play.silence(416) >> [Tell(SpeechStopped(320))]


def test_window_begins_before_the_first_voice() -> None:
    """A soft beginning is in the window: 320 ms before the voice, at most from the call's start."""
    play = Playbook(TurnPolicy())
    play.silence(1024)
    play.speech(320) >> [Tell(SpeechStarted(1024))]
    play.silence(64) >> [asked_final(1, 704, 1408)]


def test_endpoint_shorter_than_candidate() -> None:
    """With a shorter endpoint the final is asked for at the commit."""
    play = Playbook(TurnPolicy(endpoint_ms=32))
    play.speech(320)
    play.silence(32) >> [asked_final(1, 0, 352), Tell(SpeechStopped(320))]


def test_endpoint_can_change_in_the_call() -> None:
    """A client's longer endpoint holds from then on; other changes leave it."""
    play = Playbook(TurnPolicy())
    play(ev.ConfigChanged(endpoint_ms=1000)) >> []
    play(ev.ConfigChanged(voice="x")) >> []
    play.speech(320)
    play.silence(992) >> [asked_final(1, 0, 384)]
    play.silence(32) >> [Tell(SpeechStopped(320))]


def test_longest_turn_is_committed_in_mid_speech() -> None:
    """At the longest turn's length it ends; the rest is a new turn whose window starts there."""
    play = Playbook(TurnPolicy(max_turn_ms=960, partial_every_ms=5_000))
    play.speech(928) >> [Tell(SpeechStarted(0))]
    play.speech(32) >> [asked_final(1, 0, 960), Tell(SpeechStopped(960))]
    play.speech(96) >> [Tell(SpeechStarted(960))]
    play.silence(64) >> [asked_final(2, 960, 1120, turn=2)]


def test_prefix_never_reaches_into_the_turn_before() -> None:
    """Audio of one turn's final window is not transcribed again as the next one's prefix."""
    play = Playbook(TurnPolicy(endpoint_ms=96))
    play.speech(320)
    play.silence(96) >> [asked_final(1, 0, 384), Tell(SpeechStopped(320))]
    play.silence(32)
    play.speech(320) >> [Tell(SpeechStarted(448))]
    play.silence(64) >> [asked_final(2, 384, 832, turn=2)]


# The client commits


def test_commit_request_in_speech() -> None:
    """The client's commit ends the turn at once."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play(ev.CommitRequested()) >> [asked_final(1, 0, 320), Tell(SpeechStopped(320))]
    play.transcript("hello") >> [final("hello", 0, 320), *answered("reply-1", "hello")]


def test_commit_request_with_transcript_there() -> None:
    """A commit in a pause whose transcript came is complete at once."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64)
    play.transcript("hello")
    play(ev.CommitRequested()) >> [
        Tell(SpeechStopped(320)),
        final("hello", 0, 320),
        *answered("reply-1", "hello"),
    ]


def test_commit_request_without_speech() -> None:
    """There is nothing to commit before speech, nor in a click."""
    play = Playbook(TurnPolicy())
    nothing = [error("nothing_to_commit", "no speech was heard")]
    play(ev.CommitRequested()) >> nothing
    play.speech(64)
    play(ev.CommitRequested()) >> nothing


# Partials


def test_partials_every_half_second_of_speech() -> None:
    """A partial is asked for at each 500 ms; what two in a row agree on is told, once."""
    play = Playbook(TurnPolicy())
    play.speech(480) >> [Tell(SpeechStarted(0))]
    play.speech(32) >> [asked(1, 0, 512)]
    play.transcript("one two free") >> []
    play.speech(480) >> []
    play.speech(32) >> [asked(2, 0, 1024)]
    play.transcript("One two three four") >> [Tell(say.PartialTranscript("One two"))]
    play.speech(512) >> [asked(3, 0, 1536)]
    play.transcript("one two three four") >> [Tell(say.PartialTranscript(" three four"))]
    play.speech(512) >> [asked(4, 0, 2048)]
    play.transcript("won two three four") >> []


def test_one_partial_in_flight() -> None:
    """While a partial is awaited no other is asked for; its time's turn is skipped."""
    play = Playbook(TurnPolicy())
    play.speech(512) >> [Tell(SpeechStarted(0)), asked(1, 0, 512)]
    play.speech(1024) >> []
    play.transcript("one")
    play.speech(448) >> []
    play.speech(64) >> [asked(2, 0, 2048)]


def test_no_partial_in_a_pause() -> None:
    """Silence after the 500 ms mark asks for the final alone."""
    play = Playbook(TurnPolicy())
    play.speech(480)
    play.silence(512) >> [asked_final(1, 0, 544), Tell(SpeechStopped(480))]


def test_speech_against_a_reply_asks_for_a_partial_at_once() -> None:
    """Words decide an interruption, so they are not left to the next half second."""
    play = Playbook(TurnPolicy())
    play.speaking("one two three")
    play.speech(192) >> [Tell(SpeechStarted(0))]
    assert asked(1, 0, 224) in play.speech(32)
    play.speech(480) >> []
    play.transcript("")
    play.speech(32) >> [asked(2, 0, 736)]


def test_failed_partial_is_followed_by_the_next() -> None:
    """A partial that failed is not told of; the next comes at its time."""
    play = Playbook(TurnPolicy())
    play.speech(512)
    play.no_transcript() >> []
    play.speech(512) >> [asked(2, 0, 1024)]


def spoken(text: str, word_ms: int = 500) -> list[Word]:
    """Word times, one word after another."""
    return [
        Word(word, index * word_ms, (index + 1) * word_ms)
        for index, word in enumerate(text.split())
    ]


LONG = TurnPolicy(partial_window_ms=4_000, partial_every_ms=1_000)


def partial(text: str) -> Tell:
    """The client is told more of the turn."""
    return Tell(say.PartialTranscript(text))


def test_long_turn_moves_its_partials_to_the_last_agreed_word() -> None:
    """Beyond two thirds of the longest window partials start after what was agreed."""
    play = Playbook(LONG)
    play.speech(1024) >> [Tell(SpeechStarted(0)), asked(1, 0, 1024)]
    play.transcript("a b", words=spoken("a b")) >> []
    play.speech(1024) >> [asked(2, 0, 2048)]
    play.transcript("A, b c", words=spoken("A b c")) >> [partial("A, b")]
    play.speech(1024) >> [asked(3, 0, 3072)]
    play.transcript("a b c d", words=spoken("a b c d")) >> [partial(" c")]
    play.speech(1024) >> [asked(4, 1500, 4096)]
    play.transcript("d e", words=spoken("d e")) >> []
    play.speech(1024) >> [asked(5, 1500, 5120)]
    play.transcript("d e f", words=spoken("d e f")) >> [partial(" d e")]
    play.speech(1024) >> [asked(6, 2500, 6144)]
    play.silence(512) >> [asked_final(7, 0, 6208), Tell(SpeechStopped(6144))]


def test_long_turn_in_a_script_without_spaces() -> None:
    """The agreed end is found by letters, so no character is told twice."""
    play = Playbook(LONG)
    for text, told in [("你好", []), ("你好吗", [partial("你好")]), ("你好吗天", [partial("吗")])]:
        play.speech(1024)
        play.transcript(text, words=spoken(" ".join(text))) >> told
    play.speech(1024) >> [asked(4, 1500, 4096)]


def test_long_turn_without_word_times_has_no_more_partials() -> None:
    """Where the window cannot move, partials stop at its longest; the final still covers all."""
    play = Playbook(LONG)
    for text, told in [("a b", []), ("a b c", [partial("a b")]), ("a b c d", [partial(" c")])]:
        play.speech(1024)
        play.transcript(text) >> told
    play.speech(2048) >> []
    play.silence(64) >> [asked_final(4, 0, 5184)]


def test_long_turn_without_agreement_does_not_move() -> None:
    """Nothing agreed, nothing to start after."""
    play = Playbook(LONG)
    for text in "abc":
        play.speech(1024)
        play.transcript(text, words=spoken(text)) >> []
    assert [window.start_ms for window in play.windows] == [0, 0, 0]
    play.speech(2048) >> []


# A recogniser with state


def test_incremental_pause_feeds_and_commit_finishes() -> None:
    """A pause feeds what is new, as a partial; the commit asks for the final."""
    play = Playbook(INCREMENTAL)
    play.speech(320) >> [Tell(SpeechStarted(0))]
    play.silence(64) >> [asked(1, 0, 384)]
    play.transcript("hello") >> []
    play.silence(416) >> []
    play.silence(32) >> [asked_final(2, 0, 832), Tell(SpeechStopped(320))]
    play.transcript("hello") >> [final("hello", 0, 320), *answered("reply-1", "hello")]


def test_incremental_pause_feeds_when_the_last_partial_is_back() -> None:
    """One piece at a time: a pause waits for the partial in flight, then feeds the rest."""
    play = Playbook(INCREMENTAL)
    play.speech(544) >> [Tell(SpeechStarted(0)), asked(1, 0, 512)]
    play.silence(128) >> []
    play.transcript("hello")
    play.silence(32) >> [asked(2, 0, 704)]
    play.transcript("hello")
    play.silence(320) >> []


def test_incremental_speech_after_a_pause_is_fed_at_the_next() -> None:
    """Each pause feeds once, however often the caller goes on."""
    play = Playbook(INCREMENTAL)
    play.speech(320)
    play.silence(256) >> [asked(1, 0, 384)]
    play.transcript("a") >> []
    play.speech(96) >> []
    play.silence(256) >> [asked(2, 0, 736)]


def test_incremental_window_never_moves() -> None:
    """The stream is one: in a long turn each piece still starts where the turn does."""
    play = Playbook(TurnPolicy(incremental_stt=True, partial_window_ms=1_000))
    for number in range(1, 6):
        out = play.speech(512)
        assert asked(number, 0, number * 512) in out
        play.transcript("a b c", words=spoken("a b c"))


# Transcripts that do not come, or come out of order


def test_empty_final_is_no_turn() -> None:
    """Noise that holds no words is told as an empty final, and not answered."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(512)
    play.transcript("") >> [final("", 0, 320)]


def test_failed_final_loses_the_turn() -> None:
    """The client is told, and the call goes on with the next turn."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(512)
    play.no_transcript() >> [error("stage_failed", "no")]
    play.no_transcript() >> []
    play.turn("again") >> [
        Tell(SpeechStarted(832)),
        asked_final(2, 512, 1216, turn=2),
        Tell(SpeechStopped(1152)),
        final("again", 832, 1152),
        *answered("reply-1", "again"),
    ]


def test_failed_candidate_is_asked_again_at_the_commit_and_not_before() -> None:
    """A stage that is down is not asked at every frame of the pause."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64)
    play.no_transcript() >> []
    play.silence(416) >> []
    play.silence(32) >> [asked_final(2, 0, 832), Tell(SpeechStopped(320))]
    play.transcript("hello") >> [final("hello", 0, 320), *answered("reply-1", "hello")]


def test_failed_candidate_is_asked_again_at_the_next_pause() -> None:
    """A later pause is a new candidate."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(64)
    play.no_transcript()
    play.speech(96) >> []
    play.silence(64) >> [asked_final(2, 0, 544)]


def test_overdue_final_is_a_failure() -> None:
    """A transcript that is not there 20 s after the commit is given up; late, it is dropped."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.silence(512)
    play.wait(19_999) >> []
    play.wait(2) >> [error("stage_timeout", "no transcript came in time")]
    play.transcript("hello") >> []


def test_stalled_uplink_commits() -> None:
    """A second without any audio in speech ends the turn."""
    play = Playbook(TurnPolicy())
    play.speech(320)
    play.wait(999) >> []
    play.wait(2) >> [asked_final(1, 0, 320), Tell(SpeechStopped(320))]


def two_turns() -> Playbook:
    """Two turns are committed, and no transcript is there: windows 1 and 2."""
    play = Playbook(TurnPolicy())
    for _ in range(2):
        play.speech(320)
        play.silence(512)
    return play


def test_two_turns_complete_in_the_order_spoken() -> None:
    """The second's transcript waits for the first's; one reply answers both, in order."""
    play = two_turns()
    play.transcript("second", window_id=2) >> []
    play.transcript("first", window_id=1) >> [
        final("first", 0, 320),
        final("second", 832, 1152),
        *answered("reply-1", "first", "second"),
    ]


def test_second_turn_is_answered_when_the_first_fails() -> None:
    """A lost turn does not hold up the next."""
    play = two_turns()
    play.transcript("second", window_id=2) >> []
    play.no_transcript(window_id=1) >> [
        error("stage_failed", "no"),
        final("second", 832, 1152),
        *answered("reply-1", "second"),
    ]


def test_second_turn_is_answered_when_the_first_is_overdue() -> None:
    """Nor does one that never comes."""
    play = two_turns()
    play.transcript("second", window_id=2) >> []
    out = play.wait(20_000)
    assert out.told[0] == say.CallError("stage_timeout", "no transcript came in time")
    assert out[1:] == [final("second", 832, 1152), *answered("reply-1", "second")]


def test_final_word_times_are_call_times() -> None:
    """Words are placed in the call, not in the window."""
    play = Playbook(TurnPolicy())
    play.silence(1024)
    play.speech(320)
    play.silence(512)
    out = play.transcript("hello", words=[Word("hello", 300, 640, 0.5)])
    words = (Word("hello", 1004, 1344, 0.5),)
    assert out.told[0] == FinalTranscript("hello", 1024, 1344, words)


@pytest.mark.parametrize("window_id", [0, 1, 99])
def test_stale_windows_are_dropped(window_id: int) -> None:
    """A transcript, or a failure, of a window nobody waits for does nothing."""
    play = Playbook(TurnPolicy())
    play.transcript("what", window_id) >> []
    play.no_transcript(window_id) >> []
    play.speech(320)
    play.silence(320)
    play.speech(320)
    play.silence(64)
    assert [window.window_id for window in play.windows] == [1, 2, 3]
    play.transcript("what", window_id) >> []
    play.no_transcript(window_id) >> []


def test_partial_of_a_committed_turn_is_dropped() -> None:
    """A partial that comes after its turn's end is not shown."""
    play = Playbook(TurnPolicy())
    play.speech(512)
    play.silence(512)
    play.transcript("one", window_id=1) >> []
