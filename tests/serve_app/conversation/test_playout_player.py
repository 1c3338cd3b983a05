"""A playout against a simulated player: pacing, heard never over-credited, lossless resumes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.contracts import AudioChunk
from serve_app.conversation.playout import SLICE_MS, Playout, PlayoutPolicy
from tests.player import MS, Player, drive, phrase, silence

TINY = 1e-6


def test_chunks_of_any_size_leave_within_the_lead() -> None:
    """Pacing holds for whatever sizes and rates a voice makes."""

    @given(
        st.lists(st.tuples(st.integers(1, 30_000), st.sampled_from([8_000, 22_050, 48_000]))),
        st.integers(SLICE_MS, 1_000),
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
