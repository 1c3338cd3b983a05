"""What of a turn is transcribed while it goes on: by windows, or by a recogniser with state."""

from __future__ import annotations

from deployments.contracts import Word
from serve_app.conversation import announcements as say
from serve_app.conversation.announcements import SpeechStarted, SpeechStopped
from serve_app.conversation.commands import Tell
from serve_app.conversation.policy import TurnPolicy
from tests.playbook import Playbook, answered, asked, asked_final, told_final

INCREMENTAL = TurnPolicy(incremental_stt=True)


# Windows


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


LONG = TurnPolicy(partial_window_ms=4_000, partial_every_ms=1_000, spelling_pause_ms=0)


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
    """A pause feeds what is new, as a partial; the commit asks for the final of just that."""
    play = Playbook(INCREMENTAL)
    play.speech(320) >> [Tell(SpeechStarted(0))]
    play.silence(64) >> [asked(1, 0, 384)]
    play.transcript("hello") >> []
    play.silence(416) >> []
    play.silence(32) >> [asked_final(2, 0, 384), Tell(SpeechStopped(320))]
    play.transcript("hello") >> [told_final("hello", 0, 320), *answered("reply-1", "hello")]


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
