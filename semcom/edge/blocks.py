"""Fewer blocks: the first blocks of each sequence of equal blocks remain."""

from __future__ import annotations

from torch import nn


def keep_blocks(network: nn.Module, share: float) -> int:
    """Remove the last blocks of each sequence of blocks with equal parameter shapes, in place.

    Args:
        network: network whose sequences (`nn.Sequential`, `nn.ModuleList`) are shortened.
        share: share of the blocks that remain, rounded; at least one block of each sequence remains.

    Returns:
        Number of sequences that are shorter now.

    Source: Lu et al., Reassessing Layer Pruning in LLMs, arXiv:2411.15558: removal of the last blocks is hard to beat.

    >>> blocks = nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(4)])
    >>> keep_blocks(blocks, 0.75), len(blocks)
    (1, 3)
    """
    sequences = [part for part in network.modules() if isinstance(part, nn.Sequential | nn.ModuleList)]
    sequences = [part for part in sequences if _has_equal_blocks(part)]
    shorter = 0
    for sequence in sequences:
        remaining = max(1, round(share * len(sequence)))
        shorter += remaining < len(sequence)
        del sequence[remaining:]
    return shorter


def _has_equal_blocks(part: nn.Sequential | nn.ModuleList) -> bool:
    if len(part) < 2:
        return False
    first, *others = part
    shapes = [[parameter.shape for parameter in block.parameters()] for block in part]
    has_layers = any(True for _ in first.children())
    return (
        has_layers and all(type(block) is type(first) for block in others) and all(one == shapes[0] for one in shapes)
    )
