"""A reply's audio: pacing, holding, recalling and resuming."""

from __future__ import annotations

import pickle
from array import array

import pytest

from deployments.contracts import AudioChunk
from serve_app.conversation.playout import Playout, PlayoutPolicy
from tests.player import drive, phrase, silence


def test_audio_leaves_in_slices_with_their_place() -> None:
    """A chunk is cut into 80 ms slices; the last is what is left."""
    playout = Playout(PlayoutPolicy())
    playout.begin_phrase("hello")
    playout.push(silence(180))
    pieces = drive(playout, 5.0, 5.0)
    assert [(p.start_ms, p.end_ms, len(p.pcm)) for p in pieces] == [
        (0, 80, 2560),
        (80, 160, 2560),
        (160, 180, 640),
    ]
    assert playout.take(5.0) is None
    assert playout.next_at(5.0) is None


def test_pacing_keeps_the_lead() -> None:
    """At once 240 ms leave, then a slice every 80 ms."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two three four five")
    assert len(drive(playout, 0.0, 0.0)) == 3
    assert playout.next_at(0.0) == pytest.approx(0.07)
    assert playout.take(0.06) is None
    assert len(drive(playout, 0.0, 0.5)) == 6
    assert playout.over_at() is None


def test_dry_playout_starts_afresh() -> None:
    """After a gap the lead counts from now, not from when audio ran out."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one")
    drive(playout, 0.0, 0.0)
    phrase(playout, "two three four")
    assert len(drive(playout, 10.0, 10.0)) == 3


def test_over_when_the_loudspeaker_is_done() -> None:
    """The end is known once all has left and no more will come."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one")
    assert playout.over_at() is None
    playout.end()
    assert playout.over_at() is None
    drive(playout, 1.0, 1.0)
    assert playout.over_at() == pytest.approx(1.2)
    playout.pause(1.1)
    assert playout.over_at() is None


def test_held_back_until_released() -> None:
    """Nothing leaves a playout that is not released, and it is not over."""
    playout = Playout(PlayoutPolicy(), released=False)
    phrase(playout, "one")
    playout.end()
    assert not playout.released
    assert playout.take(0.0) is None
    assert playout.over_at() is None
    playout.release()
    assert playout.released
    assert len(drive(playout, 0.0, 0.0)) == 3


def test_buffer_limit_asks_for_no_more() -> None:
    """Beyond 4 s of unsent audio no phrase is wanted; sending makes room."""
    playout = Playout(PlayoutPolicy())
    assert playout.wants_more
    phrase(playout, "one two three four", 1000)
    assert not playout.wants_more
    playout.take(0.0)
    assert playout.wants_more


def test_pause_recalls_what_was_not_heard() -> None:
    """Without reports the audio resumes 150 ms before where the clock is."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two three four five")
    drive(playout, 0.0, 0.4)
    assert playout.started
    assert playout.pause(0.4)
    assert playout.paused
    assert playout.next_at(0.4) is None
    assert playout.take(9.0) is None
    assert playout.resume() == 250
    assert not playout.paused
    piece = playout.take(1.0)
    assert piece is not None
    assert (piece.start_ms, piece.end_ms) == (pytest.approx(250), pytest.approx(320))


def test_pause_before_any_audio_recalls_nothing() -> None:
    """A reply that is still silent has nothing to recall, and starts at its start."""
    playout = Playout(PlayoutPolicy())
    assert not playout.pause(1.0)
    phrase(playout, "one")
    assert playout.take(1.0) is None
    assert playout.resume() == 0
    assert not playout.started
    assert len(drive(playout, 2.0, 2.0)) == 3


def test_pause_when_dry_recalls_nothing() -> None:
    """Audio that was played to its end is not recalled; what comes later follows it."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one")
    drive(playout, 0.0, 0.0)
    assert not playout.pause(0.5)
    phrase(playout, "two")
    assert playout.resume() == 200
    assert drive(playout, 1.0, 1.0)[0].start_ms == 200


def test_recalled_whole_still_counts_as_started() -> None:
    """A reply that was recalled to its first sample has been sent all the same."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two")
    drive(playout, 0.0, 0.1)
    assert playout.pause(0.1)
    assert playout.started
    assert playout.resume() == 0


def test_second_pause_changes_nothing() -> None:
    """An interruption after a pause finds the audio recalled."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two")
    drive(playout, 0.0, 0.2)
    assert playout.pause(0.2)
    assert not playout.pause(0.3)
    assert playout.resume() == 50


def test_report_after_the_flush_moves_the_resume() -> None:
    """The client played on until the flush reached it: what it heard is not sent again."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two three")
    drive(playout, 0.0, 0.2)
    playout.pause(0.2)
    playout.played(230)
    assert playout.resume() == 230
    assert drive(playout, 1.0, 1.0)[0].start_ms == pytest.approx(230)


def test_report_beyond_what_was_sent_does_not_count() -> None:
    """A client cannot have played more than it got; a report never takes back an earlier one."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two three")
    drive(playout, 0.0, 0.0)
    playout.played(10_000)
    assert playout.heard_ms(0.0) == pytest.approx(240)
    playout.played(3)
    assert playout.heard_ms(0.0) == pytest.approx(240)


def test_first_report_replaces_the_clock() -> None:
    """A slow client's report counts even where the clock had guessed more."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two three four")
    drive(playout, 0.0, 0.5)
    assert playout.heard_ms(0.5) == pytest.approx(350)
    playout.played(100)
    assert playout.heard_ms(0.5) == 100
    assert playout.heard_ms(9.9) == 100


def test_first_report_in_a_pause_takes_the_resume_back() -> None:
    """A client that was slower than the clock thought loses nothing of what is still here."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two three four")
    drive(playout, 0.0, 0.15)
    playout.pause(0.2)
    playout.played(10)
    assert playout.resume() == 10


def test_resume_says_where_the_audio_goes_on_after_a_late_first_report() -> None:
    """Audio the clock thought heard is gone: the resume is from the first sample still here."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two three four")
    drive(playout, 0.0, 0.5)
    playout.played(100)
    playout.pause(0.5)
    from_ms = playout.resume()
    piece = playout.take(1.0)
    assert piece is not None
    assert from_ms == piece.start_ms == 320


def test_underrun_takes_no_heard_audio_back() -> None:
    """What was heard before a gap stays heard when audio goes on."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two")
    drive(playout, 0.0, 1.0)
    assert playout.heard_ms(1.0) == pytest.approx(400)
    phrase(playout, "three four")
    drive(playout, 1.0, 1.0)
    assert playout.heard_ms(1.0) == pytest.approx(400)
    playout.pause(1.0)
    assert playout.resume() == 400


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("played_ms", [0, 1, 33.3, 100, 119.99999999, 120, 239])
def test_resume_splits_no_sample(rate: int, played_ms: float) -> None:
    """Wherever the cut falls, the audio goes on with a whole sample at or just before it."""
    samples = array("h", range(rate // 2))
    playout = Playout(PlayoutPolicy())
    playout.begin_phrase("la")
    playout.push(AudioChunk(samples.tobytes(), rate))
    drive(playout, 0.0, 0.0)
    playout.played(played_ms)
    playout.pause(0.01)
    playout.resume()
    rest = array("h", b"".join(p.pcm for p in drive(playout, 1.0, 2.0)))
    assert rest.tolist() == list(range(rest[0], len(samples)))
    assert played_ms * rate / 1000 - 1 <= rest[0] <= played_ms * rate / 1000 + 1e-3


def test_all_heard_leaves_nothing_to_resume() -> None:
    """A report of everything sent, with nothing more to send, resumes at the end."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one")
    drive(playout, 0.0, 0.0)
    playout.pause(0.1)
    playout.played(200)
    assert playout.resume() == 200
    assert playout.take(1.0) is None


def test_heard_audio_is_dropped() -> None:
    """A minute of played speech is not kept."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "word " * 300)
    whole = len(pickle.dumps(playout))
    drive(playout, 0.0, 59.0)
    assert whole > 1_900_000
    assert len(pickle.dumps(playout)) < 60_000


def test_what_the_caller_still_has_to_hear() -> None:
    """Unsent audio and what has left and was not played; nothing after a gap."""
    playout = Playout(PlayoutPolicy(), released=False)
    assert playout.silent
    assert playout.unplayed_ms(0.0) == 0
    phrase(playout, "one two three four five")
    assert not playout.silent
    assert playout.unplayed_ms(0.0) == 1_000
    playout.release()
    drive(playout, 1.0, 1.5)
    assert playout.unplayed_ms(1.5) == pytest.approx(500)
    playout.pause(1.5)
    # Recalled audio is unsent again, from the slice in which the surely heard ends (350 ms).
    assert playout.unplayed_ms(9.0) == pytest.approx(680)
    playout.resume()
    drive(playout, 9.0, 20.0)
    assert playout.unplayed_ms(20.0) == 0


def test_phrases_are_told_when_their_first_audio_leaves() -> None:
    """Once each, a recalled one not again, one that the voice failed on never."""
    playout = Playout(PlayoutPolicy())
    playout.begin_phrase("one")
    playout.push(AudioChunk(bytes(3_200), 16_000))
    playout.end_phrase()
    playout.begin_phrase("failed")
    playout.begin_phrase("two")
    playout.push(AudioChunk(bytes(32_000), 16_000))
    assert playout.begun() == []
    playout.take(0.0)
    assert playout.begun() == [("one", 0)]
    playout.pause(0.0)
    playout.resume()
    playout.take(0.0)
    assert playout.begun() == []
    while playout.take(0.0):
        pass
    assert playout.begun() == [("two", 100)]
    assert playout.begun() == []
