"""LPIPS by the package of its authors, with the AlexNet weights that it was fitted to."""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from channels.errors import UsageError
from channels.extras import extra
from semcom.devices import place
from semcom.weights.connection import offline

BACKBONE, HASH = "alexnet-owt-7be5be79.pth", "7be5be79"  # torchvision's AlexNet and the first hex digits of its SHA-256
_LEAST_SIDE = 31  # pixels; the pooling layers of AlexNet require it


def lpips(images: Float[Tensor, "rows 3 h w"], reference: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
    """Learned perceptual image patch similarity, sum_l mean_hw sum_c w_lc (f_lc - f'_lc)^2, version 0.1 with AlexNet.

    f_l are AlexNet's features after its five ReLUs, normalized to unit length at each position, and w_l are weights
    fitted to human ratings. The distance of equal images is 0. Images are float32 in [0, 1].

    Raises:
        UsageError: the package or AlexNet's weights are not installed, or the images are too small.

    Source: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018.
    """
    height, width = images.shape[-2:]
    if min(height, width) < _LEAST_SIDE:
        raise UsageError(f"lpips requires images with sides of at least {_LEAST_SIDE} pixels, not {width}x{height}")
    network = place(_network(), images.device)
    pairs = zip(images.float().clamp(0, 1).split(1), reference.float().clamp(0, 1).split(1), strict=True)
    with torch.no_grad():  # one by one: results must not depend on the batch size
        return torch.cat([network(one, other, normalize=True).flatten() for one, other in pairs])


@lru_cache(maxsize=1)
@torch.inference_mode(False)  # a cached network must also work with gradients
def _network() -> Any:
    with extra("lpips"):
        from lpips import LPIPS
    file = Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE
    if not file.exists() and not offline():
        _download(file)
    if not file.is_file():
        raise UsageError(f"lpips requires torchvision's {BACKBONE}: put it in {file.parent}, or run once online")
    if not hashlib.sha256(file.read_bytes()).hexdigest().startswith(HASH):
        raise UsageError(f"{file} is not torchvision's AlexNet or is damaged: remove it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package uses a deprecated argument of torchvision
        return LPIPS(net="alex", verbose=False).requires_grad_(False)


def _download(file: Path) -> None:
    with extra("lpips"):
        from torchvision.models import AlexNet_Weights

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # torch prints the progress of the download
            AlexNet_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"lpips requires torchvision's {BACKBONE}, which cannot be downloaded ({reason}): put it in {file.parent}"
        ) from None
