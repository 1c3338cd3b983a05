"""A reply's audio: pacing, holding, recalling, resuming, and what was heard of its text."""

from __future__ import annotations

import pickle
from array import array
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.contracts import AudioChunk, SpokenWord
from serve_app.conversation.playout import AudioSlice, Playout, PlayoutPolicy
from tests.playbook import spoken_words

RATE = 16_000
MS = 0.001
TINY = 1e-6


@dataclass
class Player:
    """A client: what is sent arrives `latency` s later and plays at once, in order."""

    latency: float = 0.0
    dry_at: float = 0.0
    parts: list[tuple[float, float, float]] = field(default_factory=list)

    def receive(self, piece: AudioSlice, now: float) -> None:
        """A slice was sent now."""
        begin = max(now + self.latency, self.dry_at)
        self.dry_at = begin + len(piece.pcm) / 2 / piece.rate
        self.parts.append((begin, self.dry_at, piece.start_ms))

    def flush(self, now: float) -> None:
        """It was told now to drop what is queued."""
        cut = now + self.latency
        self.parts = [(b, min(e, cut), at) for b, e, at in self.parts if b < cut]
        self.dry_at = min(self.dry_at, cut)

    def played(self, now: float) -> float:
        """How far into the reply it has played."""
        ends = [at + (min(e, now) - b) * 1000 for b, e, at in self.parts if b < now]
        return max(ends, default=0.0)


def phrase(playout: Playout, text: str, word_ms: int = 200, *, marks: bool = True) -> None:
    """A phrase, spoken whole."""
    playout.begin_phrase(text)
    words = tuple(spoken_words(text, word_ms)) if marks else ()
    playout.push(silence(len(text.split()) * word_ms, words=words))
    playout.end_phrase()


def silence(ms: float, rate: int = RATE, words: tuple = ()) -> AudioChunk:
    """`ms` of audio."""
    return AudioChunk(bytes(int(ms * rate / 1000) * 2), rate, words)


def drive(playout: Playout, now: float, until: float, player: Player | None = None) -> list:
    """Take every piece the moment it may leave, up to a time."""
    taken = []
    while (at := playout.next_at(now)) is not None and at <= until:
        now = at
        piece = playout.take(now)
        assert piece is not None
        taken.append(piece)
        if player:
            player.receive(piece, now)
    return taken


def test_audio_leaves_in_slices_with_their_place() -> None:
    """A chunk is cut into 40 ms slices; the last is what is left."""
    playout = Playout(PlayoutPolicy())
    playout.begin_phrase("hello")
    playout.push(silence(100))
    pieces = drive(playout, 5.0, 5.0)
    assert [(p.start_ms, p.end_ms, len(p.pcm)) for p in pieces] == [
        (0, 40, 1280),
        (40, 80, 1280),
        (80, 100, 640),
    ]
    assert playout.take(5.0) is None
    assert playout.next_at(5.0) is None


def test_pacing_keeps_the_lead() -> None:
    """At once 240 ms leave, then a slice every 40 ms."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one two three four five")
    assert len(drive(playout, 0.0, 0.0)) == 6
    assert playout.next_at(0.0) == pytest.approx(0.03)
    assert playout.take(0.02) is None
    assert len(drive(playout, 0.0, 0.5)) == 12
    assert playout.over_at() is None


def test_dry_playout_starts_afresh() -> None:
    """After a gap the lead counts from now, not from when audio ran out."""
    playout = Playout(PlayoutPolicy())
    phrase(playout, "one")
    drive(playout, 0.0, 0.0)
    phrase(playout, "two three four")
    assert len(drive(playout, 10.0, 10.0)) == 6


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
    assert len(drive(playout, 0.0, 0.0)) == 5


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
    assert (piece.start_ms, piece.end_ms) == (pytest.approx(250), pytest.approx(280))


def test_pause_before_any_audio_recalls_nothing() -> None:
    """A reply that is still silent has nothing to recall, and starts at its start."""
    playout = Playout(PlayoutPolicy())
    assert not playout.pause(1.0)
    phrase(playout, "one")
    assert playout.take(1.0) is None
    assert playout.resume() == 0
    assert not playout.started
    assert len(drive(playout, 2.0, 2.0)) == 5


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


@pytest.mark.parametrize(
    ("heard_ms", "text"),
    [
        (0, ""),
        (199, ""),
        (200, "one,"),
        (399, "one,"),
        (400, "one, two"),
        (599, "one, two three."),
        (700, "one, two three."),
        (800, "one, two three. four"),
        (1000, "one, two three. four five"),
    ],
)
def test_heard_text_is_cut_at_a_word(heard_ms: float, text: str) -> None:
    """A word counts once the next has begun, the last one once its phrase is over."""
    playout = Playout(PlayoutPolicy(max_lead_ms=5_000))
    phrase(playout, "one, two three.")
    phrase(playout, "four five")
    drive(playout, 0.0, 0.0)
    playout.played(heard_ms)
    assert playout.heard(0.0) == text


def test_heard_goes_by_the_words_own_times() -> None:
    """A long word counts when it is over, not when its share of the phrase is."""
    playout = Playout(PlayoutPolicy(max_lead_ms=5_000))
    playout.begin_phrase("looong a b c")
    marks = (SpokenWord(0, 6, 0), SpokenWord(7, 8, 700), SpokenWord(9, 10, 800))
    playout.push(silence(850, words=marks))
    playout.push(silence(150, words=(SpokenWord(11, 12, 900),)))
    playout.end_phrase()
    drive(playout, 0.0, 0.0)
    for heard_ms, text in [(699, ""), (700, "looong"), (850, "looong a"), (998, "looong a b")]:
        playout.played(heard_ms)
        assert playout.heard(0.0) == text


def test_heard_without_word_times() -> None:
    """Without word times the words share the phrase's time evenly, rounded down."""
    playout = Playout(PlayoutPolicy(max_lead_ms=5_000))
    phrase(playout, "one two three four", marks=False)
    drive(playout, 0.0, 0.0)
    for heard_ms, text in [(199, ""), (401, "one two"), (798, "one two three")]:
        playout.played(heard_ms)
        assert playout.heard(0.0) == text
    playout.played(800)
    assert playout.heard(0.0) == "one two three four"


def test_unfinished_phrase_is_credited_as_if_slow() -> None:
    """While a phrase may still grow, its words count at 100 ms a letter."""
    playout = Playout(PlayoutPolicy(max_lead_ms=5_000))
    playout.begin_phrase("one two three four")
    playout.push(silence(450))
    drive(playout, 0.0, 0.0)
    playout.played(449)
    assert playout.heard(0.0) == ""
    playout.push(silence(1_000))
    drive(playout, 0.0, 0.0)
    playout.played(1_400)
    assert playout.heard(0.0) == "one two three"


def test_abandoned_phrase_never_counts_whole() -> None:
    """A phrase that broke off counts as far as its own audio goes, however much follows it."""
    playout = Playout(PlayoutPolicy(max_lead_ms=9_000))
    playout.begin_phrase("one two three four")
    playout.push(silence(500))
    playout.abandon_phrase()
    phrase(playout, "so sorry", 1_000)
    drive(playout, 0.0, 0.0)
    playout.played(2_500)
    assert playout.heard(0.0) == "one so sorry"


def test_abandoned_phrase_without_audio_is_forgotten() -> None:
    """A phrase that was never spoken is not heard."""
    playout = Playout(PlayoutPolicy())
    playout.begin_phrase("one")
    playout.abandon_phrase()
    phrase(playout, "two")
    drive(playout, 0.0, 0.0)
    playout.played(200)
    assert playout.heard(0.0) == "two"


def test_chunks_of_any_size_leave_within_the_lead() -> None:
    """Pacing holds for whatever sizes and rates a voice makes."""

    @given(
        st.lists(st.tuples(st.integers(1, 30_000), st.sampled_from([8_000, 22_050, 48_000]))),
        st.integers(60, 1_000),
    )
    @settings(deadline=None)
    def holds(chunks: list[tuple[int, int]], max_lead_ms: int) -> None:
        playout, player, now = Playout(PlayoutPolicy(max_lead_ms=max_lead_ms)), Player(), 1.0
        playout.begin_phrase("la")
        for samples, rate in chunks:
            playout.push(AudioChunk(bytes(samples * 2), rate))
        sent = 0
        while (at := playout.next_at(now)) is not None:
            now = at
            piece = playout.take(now)
            assert piece is not None
            player.receive(piece, now)
            assert player.dry_at - now <= max_lead_ms * MS + TINY
            sent += len(piece.pcm) // 2
        assert sent == sum(samples for samples, _ in chunks)
        # It never waits longer than the lead demands, so the loudspeaker never runs dry.
        assert all(b[0] - a[1] < TINY for a, b in zip(player.parts, player.parts[1:], strict=False))

    holds()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("speak"), st.integers(1, 8)),
        st.tuples(st.just("play"), st.integers(0, 900)),
        st.tuples(st.just("pause"), st.integers(0, 600)),
        st.tuples(st.just("report"), st.just(0)),
    ),
    max_size=25,
)


@given(STEPS, st.integers(0, 150), st.booleans(), st.booleans())
@settings(deadline=None)
def test_heard_is_never_over_credited(
    steps: list[tuple[str, int]], latency_ms: int, reports: bool, marks: bool
) -> None:
    """Against a player whose audio comes up to the margin late, heard ≤ really played."""
    playout, player, now = Playout(PlayoutPolicy()), Player(latency_ms * MS), 1.0
    texts: list[str] = []
    for step, amount in steps:
        if step == "speak":
            texts.append(" ".join("abcdefgh"[:amount]))
            phrase(playout, texts[-1], 130, marks=marks)
        elif step == "play":
            drive(playout, now, now + amount * MS, player)
            now += amount * MS
        elif step == "pause":
            if playout.pause(now):
                player.flush(now)
            now += amount * MS
            playout.resume()
        elif reports:
            playout.played(player.played(now))
        really = player.played(now)
        assert playout.heard_ms(now) <= really + TINY
        words = playout.heard(now).split()
        assert words == " ".join(texts).split()[: len(words)]
        # The last word of a phrase counts from 1 ms before its end.
        assert len(words) * 130 <= really + 1 + TINY


@given(
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 500)), max_size=10),
    st.integers(0, 150),
    st.sampled_from([8_000, 16_000, 22_050, 24_000]),
)
@settings(deadline=None)
def test_reported_resume_loses_and_repeats_nothing(
    steps: list[tuple[int, int]], latency_ms: int, rate: int
) -> None:
    """A client that reports what it played hears every moment once, to a sample."""
    playout, player, now = Playout(PlayoutPolicy()), Player(latency_ms * MS), 1.0
    playout.begin_phrase("la")
    playout.push(silence(3_000, rate))
    playout.end_phrase()
    for played_ms, paused_ms in steps:
        drive(playout, now, now + played_ms * MS, player)
        now += played_ms * MS
        playout.played(player.played(now))
        if playout.pause(now):
            player.flush(now)
        now += latency_ms * MS
        playout.played(player.played(now))
        now += paused_ms * MS
        playout.resume()
    drive(playout, now, now + 9, player)
    heard_to = 0.0
    for begin, end, at_ms in player.parts:
        assert heard_to - 1_000 / rate - TINY <= at_ms <= heard_to + TINY
        heard_to = at_ms + (end - begin) * 1000
    assert heard_to == pytest.approx(3_000, abs=1)
