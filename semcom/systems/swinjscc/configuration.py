"""Shape of the networks of SwinJSCC and WITT, inferred from the keys and shapes of a checkpoint."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from channels.errors import UsageError
from semcom.weights.state_dict import StateDict

Adaptation = Literal["none", "snr", "rate", "both"]


@dataclass(frozen=True)
class Stage:
    """Blocks of equal resolution and width.

    Args:
        width: number of feature channels.
        heads: number of attention heads.
        window: side of an attention window, positions.
        hidden: width of the feed-forward networks.
        shifts: shift of the windows in each block, positions.
    """

    width: int
    heads: int
    window: int
    hidden: int
    shifts: tuple[int, ...]


@dataclass(frozen=True)
class Configuration:
    """Shape of both networks.

    Args:
        encoder: stages from the finest to the coarsest; the first is at half the resolution of the image.
        decoder: stages from the coarsest to the finest.
        channels: number C of real numbers that are sent for each position; None for a checkpoint with rate adaptation.
        two_modulations: whether the encoder has modules for the SNR and for the rate.
        adaptation: conditions that the networks are used with.
    """

    encoder: tuple[Stage, ...]
    decoder: tuple[Stage, ...]
    channels: int | None
    two_modulations: bool
    adaptation: Adaptation

    @property
    def stride(self) -> int:
        """Pixels per position of the features, each direction."""
        return 2 ** len(self.encoder)

    @property
    def multiple(self) -> int:
        """Number of pixels that both sides of an image must be multiples of: whole windows in every stage."""
        encoder = [stage.window * 2**level for level, stage in enumerate(self.encoder, 1)]
        decoder = [stage.window * self.stride // 2**level for level, stage in enumerate(self.decoder)]
        return math.lcm(*encoder, *decoder)

    @property
    def latents(self) -> int:
        """Number of channels of the features, all of which are sent without rate adaptation."""
        return self.encoder[-1].width if self.channels is None else self.channels


def published() -> Configuration:
    """Configuration of the published networks for large images (model size base, C = 96)."""
    wide = [(width, width // 32) for width in (128, 192, 256, 320)]
    stages = tuple(
        Stage(width, heads, 8, 4 * width, (0, 4) * (depth // 2))
        for (width, heads), depth in zip(wide, (2, 2, 6, 2), strict=True)
    )
    return Configuration(stages, stages[::-1], channels=96, two_modulations=False, adaptation="snr")


def inferred(found: StateDict, adaptation: Adaptation | Literal["auto"]) -> Configuration:
    """Configuration of a checkpoint; the published one if the keys of the stages are not found.

    Args:
        found: checkpoint.
        adaptation: conditions; auto infers them from the modules: both with two modulation modules, rate without a
            layer `head_list`, otherwise snr.

    Raises:
        UsageError: the checkpoint lacks the modules of this adaptation, or the masks of shifted windows.
    """
    tensors = found.tensors
    try:
        encoder, decoder = _stages(tensors, "encoder"), _stages(tensors, "decoder")
        head = "encoder.head_list.weight"
        channels = tensors[head].shape[0] if head in tensors else None
    except (LookupError, ValueError):
        return published()
    two = "encoder.sm_list1.0.weight" in tensors
    if adaptation == "auto":
        adaptation = "snr" if channels is not None else "both" if two else "rate"
    if (adaptation in ("none", "snr")) != (channels is not None) or (adaptation == "both" and not two):
        has = "sends a fixed number of channels" if channels is not None else "adapts to the rate"
        allowed = "none or snr" if channels is not None else "rate or both" if two else "rate"
        raise UsageError(f"{found.path} {has}, so adaptation must be {allowed}, not {adaptation}")
    if not any(shift for stage in encoder + decoder for shift in stage.shifts):
        raise UsageError(
            f"{found.path} has no attn_mask, which marks the blocks with shifted windows: save the complete state dict"
        )
    return Configuration(encoder, decoder, channels, two, adaptation)


def _stages(tensors: Mapping[str, Tensor], end: str) -> tuple[Stage, ...]:
    """Stages of one end.

    Raises:
        LookupError: keys are missing.
        ValueError: the shapes do not belong to window attention.
    """
    stages = []
    for layer in itertools.count():
        blocks = [f"{end}.layers.{layer}.blocks.{block}." for block in range(_blocks(tensors, f"{end}.layers.{layer}"))]
        if not blocks:
            break
        (width,) = tensors[f"{blocks[0]}norm1.weight"].shape
        biases, heads = tensors[f"{blocks[0]}attn.relative_position_bias_table"].shape
        hidden, _ = tensors[f"{blocks[0]}mlp.fc1.weight"].shape
        window = (math.isqrt(biases) + 1) // 2
        if window < 1 or (2 * window - 1) ** 2 != biases or not heads or width % heads:
            raise ValueError("no window attention")
        shifts = tuple(window // 2 if f"{block}attn_mask" in tensors else 0 for block in blocks)
        stages.append(Stage(width, heads, window, hidden, shifts))
    if not stages:
        raise LookupError(end)
    return tuple(stages)


def _blocks(tensors: Mapping[str, Tensor], layer: str) -> int:
    """Number of blocks of a stage."""
    return next(block for block in itertools.count() if f"{layer}.blocks.{block}.norm1.weight" not in tensors)
