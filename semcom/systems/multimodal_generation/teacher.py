"""A classifier of ImageNet that stands in the losses of training, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from semcom.imagenet import adopt, tensors


class Teacher(nn.Module):
    """EfficientNet-Lite0 with the weights that its package holds, frozen.

    Args:
        initial: "imagenet", or "random" for tests.

    Raises:
        UsageError: the package is not installed.
    """

    def __init__(self, initial: str = "imagenet") -> None:
        super().__init__()
        import timm

        self.network: Any = timm.create_model("efficientnet_lite0", pretrained=False)
        adopt(self.network, tensors("efficientnet_lite0", initial))
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Teacher:
        """Stay as it is: its statistics are those of ImageNet."""
        return super().train(False)

    def stages(self, images: Float[Tensor, "rows 3 h w"], count: int) -> list[Tensor]:
        """Features of pictures in [0, 1] after the first `count` of five stages, at strides 2, 4, 8, 16 and 32."""
        return self.network.forward_intermediates(
            _scaled(images), indices=list(range(count)), intermediates_only=True, stop_early=True
        )

    def verdict(self, deep: Float[Tensor, "rows 112 h w"]) -> Float[Tensor, "rows classes"]:
        """Probabilities of the 1000 classes of ImageNet, from the features at stride 16."""
        return self.logits(self.network.blocks[5:](deep)).softmax(1)

    def logits(self, last: Float[Tensor, "rows 320 h w"]) -> Float[Tensor, "rows classes"]:
        """Of the 1000 classes of ImageNet, from the features at stride 32."""
        return self.network.forward_head(self.network.bn2(self.network.conv_head(last))).float()


def distance(teacher: Teacher, images: Tensor, others: Tensor, count: int = 3) -> Float[Tensor, " rows"]:
    """Mean squared distance of unit vectors of features, summed over the first `count` stages; not LPIPS.

    Args:
        teacher: sees.
        images, others: float32 [rows, 3, h, w] in [0, 1]; of the second no gradient is taken.
        count: of stages.
    """
    with torch.autocast(images.device.type, enabled=False):  # its depthwise convolutions are slower in bfloat16
        with torch.no_grad():
            wanted = teacher.stages(others.float(), count)
        found = teacher.stages(images.float(), count)
    return between(found, wanted)


def between(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Float[Tensor, " rows"]:
    """The `distance` of pictures whose features are these."""
    distances = [
        (functional.normalize(a, dim=1) - functional.normalize(b, dim=1)).square().sum(1).mean((1, 2))
        for a, b in zip(found, wanted, strict=True)
    ]
    return torch.stack(distances).sum(0)


def _scaled(images: Tensor) -> Tensor:
    return ((images * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
