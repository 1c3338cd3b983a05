"""The numbers of a run."""

import itertools

import pytest

from bench.plan import (
    CALLS,
    FIRST_SENTENCE_TOKENS,
    GRID_MS,
    RATE,
    REPLY,
    lead_samples,
    turns_of,
)


@pytest.mark.parametrize("calls", CALLS)
def test_calls_cover_alignments(calls: int) -> None:
    """Together the calls of a row speak every alignment."""
    spoken = {index for call in range(calls) for index in turns_of(call, calls, 32)}
    assert spoken == set(range(32))


def test_turns_are_interrupted_in_every_row() -> None:
    """A call has at least four turns, in pairs of which the second interrupts."""
    assert {len(turns_of(call, 48, 32)) for call in range(48)} == {4}
    assert {len(turns_of(call, 3, 32)) for call in range(3)} == {12}


def test_leads_step_evenly() -> None:
    """32 leads are 5 ms apart over the common period of 20 ms and 32 ms frames."""
    leads = [lead_samples(index, 32) for index in range(32)]
    assert GRID_MS == 160
    assert {later - earlier for earlier, later in itertools.pairwise(leads)} == {RATE * 5 // 1000}
    assert lead_samples(32, 32) == 0


def test_first_sentence_ends_where_the_nominal_time_says() -> None:
    """The first sentence of the reply has as many words as the nominal time counts tokens."""
    assert len(REPLY.split(".")[0].split()) == FIRST_SENTENCE_TOKENS
    assert REPLY.count(".") == 3
