"""The autoscaling policy over the loads that the page shows, and what Serve does around it."""

from __future__ import annotations

import random
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.capacity.replicas import LOADS, BadLoad, Course, Delays, configured, load, play

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Of Ray's own models.
    from ray.serve.autoscaling_policy import _apply_delay_logic

NAMES = ("dip", "evening", "morning", "spike", "steady")
STARTS_S = 20.0
SCALING = configured()


def course(name: str, starts_s: float = STARTS_S, carries: float = 40.0, seed: int = 0) -> Course:
    """One of the loads, at replicas as planned."""
    return play(load(LOADS / f"{name}.csv"), SCALING, starts_s=starts_s, carries=carries, seed=seed)


@pytest.mark.parametrize("starts_s", [STARTS_S, 300.0])
@pytest.mark.parametrize("name", NAMES)
def test_replicas_follow_within_the_time_to_notice_and_start(name: str, starts_s: float) -> None:
    """What was needed throughout that time is there at its end."""
    played = course(name, starts_s)
    needed = played.needed(SCALING.per_replica)
    lag = round(SCALING.notices_s + starts_s)
    for now in range(lag, len(needed)):
        assert played.running[now] >= min(needed[now - lag : now + 1])


@pytest.mark.parametrize("name", NAMES)
def test_replicas_do_not_flap(name: str) -> None:
    """They change direction twice in the delay of scaling down at most, whoever calls."""
    for seed in range(3):
        played = course(name, seed=seed)
        assert played.turns <= 2 * len(played.calls) / SCALING.downscale_delay_s
    shaky = play(
        load(LOADS / f"{name}.csv"),
        replace(SCALING, downscale_delay_s=0.0),
        starts_s=STARTS_S,
        carries=40.0,
    )
    assert shaky.turns > 3 * course(name).turns


@pytest.mark.parametrize("name", NAMES)
def test_few_calls_are_refused_where_replicas_start_at_once(name: str) -> None:
    """One in a hundred at most, also of a jump to five times the load; none is late."""
    played = course(name)
    assert played.begun > 3_000
    assert played.refused <= played.begun / 100
    assert played.late == 0


def test_a_jump_finds_no_room_where_machines_must_be_bought() -> None:
    """What the page says of a start of five minutes."""
    assert course("spike", starts_s=300.0).refused > 10 * course("spike").refused


def test_they_are_given_back() -> None:
    """At the end of the evening one is left, and the whole cost no more than a third above need."""
    played = course("evening")
    assert max(played.running) >= 7
    assert played.running[-1] == 1
    assert played.replica_hours < 4 / 3 * sum(played.needed(SCALING.per_replica)) / 3600


def test_age_brings_replicas_that_calls_alone_would_not() -> None:
    """Where a replica carries half, more of them serve the steady load, and few calls are late."""
    heavy, planned = course("steady", carries=20.0), course("steady")
    assert max(heavy.running) > max(planned.running)
    assert 0 < heavy.late < heavy.begun / 20


def test_the_upper_bound_holds() -> None:
    """And then calls are refused."""
    bounded = replace(SCALING, max_replicas=3)
    played = play(load(LOADS / "steady.csv"), bounded, starts_s=STARTS_S, carries=40.0)
    assert max(played.paid[60:]) == 3
    assert max(played.calls) <= 4 * SCALING.max_calls
    assert played.refused > 100


def test_delays_are_serves_own() -> None:
    """Any wishes, a second apart: the same targets as Serve's function gives."""
    given: Any = SimpleNamespace(
        upscale_delay_s=5.0, downscale_delay_s=12.0, downscale_to_zero_delay_s=None
    )
    chance = random.Random(0)
    ours, theirs, wanted, moved = 4, 4, 4, 0
    delays, state = Delays(5.0, 12.0), dict[str, Any]()
    for now in range(5_000):
        if chance.random() < 0.1:
            wanted = chance.randint(1, 9)
        before = ours
        ours = delays.decide(wanted, ours, float(now))
        theirs, state = _apply_delay_logic(wanted, theirs, given, state, _now=float(now))
        assert ours == theirs
        moved += ours != before
    assert moved > 50


def test_a_run_can_be_repeated() -> None:
    """The seed is all there is of chance."""
    assert course("dip") == course("dip")
    assert course("dip", seed=1) != course("dip")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "first line"),
        ("calls\n3\n", "first line"),
        ("minute,calls_begun\n1,3\n", "minute 0"),
        ("minute,calls_begun\n0,3\n1,-2\n", "minute 1"),
        ("minute,calls_begun\n0,3\n1,2.5\n", "minute 1"),
        ("minute,calls_begun\n0,3,4\n", "minute 0"),
        ("minute,calls_begun\n0,0\n", "no call begins"),
        ("minute,calls_begun\n", "no call begins"),
    ],
)
def test_a_file_that_is_no_load_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """With the place."""
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(BadLoad, match=complaint):
        load(path)


@pytest.mark.parametrize("bad", [{"carries": 0.0}, {"length_s": 0.0}, {"starts_s": -1.0}])
def test_what_cannot_be_played_is_refused(bad: dict[str, float]) -> None:
    """Before anything is divided by it."""
    good = {"carries": 40.0, "length_s": 180.0, "starts_s": 20.0}
    with pytest.raises(ValueError, match="above 0"):
        play([1, 2], SCALING, **(good | bad))
