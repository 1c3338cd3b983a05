"""Whether the stages fit on the cluster's GPUs: pure arithmetic over fractions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from serve_app.errors import ConfigError, Stage
from serve_app.settings import Placement

Placements: TypeAlias = Mapping[Stage, Placement]

WITHOUT_GPU = (
    "`make run` (serve_config.embedded.yaml) runs without one, "
    "`make run PROFILE=laptop` (serve_config.laptop.yaml) with small real models"
)

_ROUNDING = 1e-6
"""Fractions such as 0.1 + 0.2 do not sum exactly; Ray counts in ten-thousandths."""


def check_fractions(placements: Placements) -> None:
    """Raises ConfigError where a replica asks for a share that Ray cannot give it."""
    for stage, placement in placements.items():
        share = placement.num_gpus
        if share > 1 and share != int(share):
            raise ConfigError(
                f"{stage}: num_gpus {share:g} is neither a fraction of one GPU nor whole ones: "
                f"set {stage}.placement.num_gpus to at most 1, or to {int(share) + 1}"
            )


def check_memory_share(stage: Stage, share: float, utilization: object) -> None:
    """Raises ConfigError where vLLM would take more of the card than its stage's share of it.

    `utilization`: its `gpu_memory_utilization`; None: vLLM's own, nearly all of the card.
    """
    if not 0 < share < 1:
        return
    if utilization is None:
        raise ConfigError(
            f"{stage}: vLLM would take nearly all of the GPU and its share is {share:g}: "
            f"set {stage}.settings.gpu_memory_utilization to {share:g} or less"
        )
    if isinstance(utilization, int | float) and utilization > share:
        raise ConfigError(
            f"{stage}: gpu_memory_utilization {utilization:g} is more than its share of the GPU, "
            f"{share:g}: lower {stage}.settings.gpu_memory_utilization, or raise "
            f"{stage}.placement.num_gpus"
        )


def check_fit(placements: Placements, nodes: Sequence[float]) -> None:
    """Raises ConfigError unless every replica finds its share on the nodes' GPUs.

    `nodes`: how many GPUs each has. Shares are placed largest first, as a search over all ways
    would not be explained in a line.
    """
    needed = sum(p.num_gpus * p.most_replicas for p in placements.values())
    if needed == 0:
        return
    if not sum(nodes):
        raise ConfigError(
            f"this plan needs {_gpus(needed)} and the cluster has none: {WITHOUT_GPU}"
        )
    if not _packs(placements, nodes):
        raise ConfigError(
            f"this plan needs {needed:g} of {_gpus(sum(nodes))} and does not fit: "
            f"{_described(placements)}. Lower replicas or num_gpus in args.<stage>.placement, "
            f"or take a smaller plan (docs/gpu.md)"
        )


def _packs(placements: Placements, nodes: Sequence[float]) -> bool:
    cards = [[1.0] * int(gpus) for gpus in nodes]
    sharing = [p for p in placements.values() if p.num_gpus]
    shares = [p.num_gpus for p in sharing for _ in range(p.most_replicas)]
    return all(_place(share, cards) for share in sorted(shares, reverse=True))


def _place(share: float, cards: list[list[float]]) -> bool:
    """Take a share: whole cards of one node, or a part of the first card with room."""
    whole, part = int(share), share - int(share)
    for node in cards:
        if whole and sum(free == 1.0 for free in node) >= whole:
            for _ in range(whole):
                node.remove(1.0)
            return True
        for card, free in enumerate(node):
            if not whole and free + _ROUNDING >= part:
                node[card] = free - part
                return True
    return False


def _described(placements: Placements) -> str:
    return ", ".join(
        f"{stage} {f'{p.most_replicas} × ' if p.most_replicas > 1 else ''}{p.num_gpus:g}"
        for stage, p in placements.items()
        if p.num_gpus
    )


def _gpus(count: float) -> str:
    return "a GPU" if count <= 1 else f"{count:g} GPUs"
