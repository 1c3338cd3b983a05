"""The simulated loudspeaker."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.playback import Playback

_RATE = 1000  # one sample a millisecond


def _ms(duration: int, level: int = 1) -> bytes:
    return array("h", [level] * duration).tobytes()


def _playing() -> Playback:
    playback = Playback()
    playback.start("r1")
    return playback


def test_nothing_yet():
    """Before any audio nothing was played and nothing is queued."""
    playback = _playing()
    assert (playback.played_ms(5.0), playback.drained_at, playback.played(5.0)) == (0.0, 0.0, [])


def test_audio_plays_as_it_comes():
    """Pieces follow each other; the clock says how much has been played, never more than came."""
    playback = _playing()
    playback.add(_ms(100), _RATE, 10.0)
    playback.add(_ms(100), _RATE, 10.01)
    assert playback.drained_at == pytest.approx(10.2)
    assert playback.played_ms(9.0) == 0.0
    assert playback.played_ms(10.15) == pytest.approx(150)
    assert playback.played_ms(99.0) == pytest.approx(200)
    assert playback.underruns == 0


def test_flush_drops_what_is_queued():
    """What was played stays, the rest is gone, and late audio of the reply is not played."""
    playback = _playing()
    playback.add(_ms(100), _RATE, 10.0)
    playback.add(_ms(100), _RATE, 10.0)
    assert playback.flush(10.05) == pytest.approx(50, abs=1)
    playback.add(_ms(100), _RATE, 10.06)
    assert playback.played_ms(99.0) == pytest.approx(50, abs=1)
    assert [len(one.pcm) // 2 for one in playback.played(99.0)] == [pytest.approx(50, abs=1)]
    assert playback.drained_at <= 10.05


def test_resume_goes_on_where_the_server_says():
    """The position counts on from `from_ms`; the pause is no underrun."""
    playback = _playing()
    playback.add(_ms(100), _RATE, 10.0)
    playback.flush(10.05)
    playback.resume("r1", 48)
    assert playback.played_ms(10.5) == pytest.approx(50, abs=1)
    playback.add(_ms(100), _RATE, 11.0)
    assert playback.played_ms(11.02) == pytest.approx(68)
    assert playback.played_ms(99.0) == pytest.approx(148)
    assert playback.underruns == 0


def test_the_next_reply_counts_from_zero():
    """Its audio queues behind the last one's."""
    playback = _playing()
    playback.add(_ms(100), _RATE, 10.0)
    playback.start("r2")
    assert playback.played_ms(10.05) == 0.0
    playback.add(_ms(50), _RATE, 10.05)
    assert playback.played_ms(10.12) == pytest.approx(20)
    assert (playback.reply_id, playback.underruns) == ("r2", 0)
    assert [one.reply_id for one in playback.played(99.0)] == ["r1", "r2"]


def test_underruns():
    """Audio that comes after the queue ran dry within a reply counts, once a gap."""
    playback = _playing()
    for now in (10.0, 10.2, 10.25, 10.9):
        playback.add(_ms(100), _RATE, now)
    assert playback.underruns == 2
    assert [one.at for one in playback.played(99.0)] == pytest.approx([10.0, 10.2, 10.3, 10.9])


def test_when_a_reply_can_be_heard():
    """The first audible sample counts, at the time it plays, once a reply."""
    playback = _playing()
    playback.add(_ms(100), _RATE, 10.0)
    assert playback.audible_at == {}
    playback.add(_ms(30) + _ms(70, 5000), _RATE, 10.0)
    playback.add(_ms(100, 5000), _RATE, 10.0)
    assert playback.audible_at == {"r1": pytest.approx(10.13)}


def test_played_is_cut_at_now():
    """A recording made in the middle holds the first half."""
    playback = _playing()
    playback.add(_ms(100), _RATE, 10.0)
    playback.add(b"", _RATE, 10.0)
    (stretch,) = playback.played(10.0625)
    assert len(stretch.pcm) == 62 * 2


_steps = st.lists(
    st.tuples(st.sampled_from(["add", "flush", "resume", "start"]), st.integers(0, 300)),
    max_size=20,
)


@given(_steps)
def test_it_never_over_credits(steps: list[tuple[str, int]]):
    """Whatever happens, no more was played than came, nor than there was time for."""
    playback, now, received, start = _playing(), 0.0, 0, 0
    for action, number in steps:
        match action:
            case "add":
                playback.add(_ms(number), _RATE, now)
                received += number
            case "flush":
                playback.flush(now)
            case "resume":
                playback.resume(playback.reply_id, playback.played_ms(now))
            case _:
                start += 1
                playback.start(f"s{start}")
        now += number / 1000
        total_ms = sum(one.seconds for one in playback.played(now)) * 1000
        assert playback.played_ms(now) <= total_ms + 1 + len(steps)
        assert total_ms <= min(received, now * 1000) + 0.001
