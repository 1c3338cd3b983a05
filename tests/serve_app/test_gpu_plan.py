"""Plans against cards: what fits, what does not, and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import ConfigError
from serve_app.gpu_plan import Placements, check_fit, check_fractions, check_memory_share
from serve_app.settings import Placement


def plan(stt: float = 0.15, llm: float = 0.55, tts: float = 0.15, voices: int = 2) -> Placements:
    """The shares of the three stages."""
    return {
        "stt": Placement(num_gpus=stt),
        "llm": Placement(num_gpus=llm),
        "tts": Placement(num_gpus=tts, replicas=voices),
    }


def refusal(placements: Placements, *nodes: float) -> str:
    """The one line that refuses a plan."""
    with pytest.raises(ConfigError) as caught:
        check_fit(placements, nodes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("nodes", [(1,), (0, 1), (2,), (0, 0, 4)])
def test_the_a100_plan_fits_one_card(nodes: tuple[float, ...]) -> None:
    """Its shares sum to the whole card, on whichever node that is."""
    check_fit(plan(), nodes)


def test_no_card_names_the_configs_that_need_none() -> None:
    """And the commands that run them."""
    said = refusal(plan(), 0, 0)
    assert "cluster has none" in said
    assert "serve_config.embedded.yaml" in said
    assert "PROFILE=laptop" in said


def test_no_cluster_at_all_has_no_card() -> None:
    """Without any node there is nothing to place on."""
    assert "cluster has none" in refusal(plan())


def test_a_plan_without_shares_needs_no_card() -> None:
    """The laptop's."""
    check_fit(plan(0, 0, 0), [0])


def test_more_than_a_card_names_the_shares() -> None:
    """So that it is seen which to lower."""
    said = refusal(plan(llm=0.6), 1)
    assert "needs 1.05 of a GPU" in said
    assert "stt 0.15, llm 0.6, tts 2 × 0.15" in said
    assert "num_gpus" in said


def test_shares_that_fit_in_sum_must_fit_card_by_card() -> None:
    """Three of 0.6 need three cards, though two would hold their sum."""
    three = plan(stt=0, llm=0, tts=0.6, voices=3)
    assert "does not fit" in refusal(three, 2)
    check_fit(three, [3])
    check_fit(three, [1, 1, 1])


def test_whole_cards_come_from_one_node() -> None:
    """A model over two cards is one process: two nodes with a card each do not hold it."""
    two = plan(stt=0, llm=2, tts=0)
    check_fit(two, [2])
    assert "does not fit" in refusal(two, 1, 1)


def test_the_most_replicas_count() -> None:
    """A plan that fits only until load comes does not fit."""
    grows = {"tts": Placement(num_gpus=0.5, replicas=1, max_replicas=3)}
    assert "tts 3 × 0.5" in refusal(grows, 1)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=12), st.integers(1, 4))
def test_what_fits_leaves_no_card_over_full(hundredths: list[int], cards: int) -> None:
    """A plan is never accepted whose sum is more than the cards."""
    stages = {"tts": Placement(num_gpus=hundredths[0] / 100, replicas=len(hundredths))}
    if hundredths[0] * len(hundredths) > 100 * cards:
        refusal(stages, cards)


@pytest.mark.parametrize("share", [1.5, 2.01])
def test_a_share_over_one_card_is_whole_cards(share: float) -> None:
    """Ray gives parts of one card, or whole ones."""
    with pytest.raises(ConfigError, match=r"llm\.placement\.num_gpus"):
        check_fractions({"llm": Placement(num_gpus=share)})
    check_fractions({"llm": Placement(num_gpus=2)})


@pytest.mark.parametrize(
    ("share", "utilization", "words"),
    [
        (0.55, 0.6, "0.6 is more than its share of the GPU, 0.55"),
        (0.55, None, "set llm.settings.gpu_memory_utilization to 0.55 or less"),
    ],
)
def test_vllm_may_not_take_more_than_its_share(
    share: float, utilization: float | None, words: str
) -> None:
    """Ray's share is a count; what vLLM takes it decides itself."""
    with pytest.raises(ConfigError, match=words):
        check_memory_share("llm", share, utilization)


@pytest.mark.parametrize(
    ("share", "utilization"), [(0.55, 0.5), (0.5, 0.5), (1.0, None), (0, None)]
)
def test_vllm_within_its_share_is_fine(share: float, utilization: float | None) -> None:
    """A whole card, or none, is its own."""
    check_memory_share("llm", share, utilization)
