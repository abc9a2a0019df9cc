"""LPIPS, by its authors' package and with the backbone it was fitted to, or not at all."""

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

from channels._errors import UsageError
from semcom.weights import offline

BACKBONE, HASH = "alexnet-owt-7be5be79.pth", "7be5be79"  # torchvision's AlexNet, and how its SHA-256 begins
_LEAST_SIDE = 31  # pixels; smaller ones leave nothing behind AlexNet's pools


def lpips(images: Float[Tensor, "rows 3 h w"], reference: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, " rows"]:
    """Learned perceptual image patch similarity, sum_l mean_hw sum_c w_lc (f_lc - f'_lc)^2, version 0.1 with AlexNet.

    f_l are AlexNet's features after its five ReLUs, a unit vector at each position, and w_l weights fitted to human
    judgements; 0 for equal pictures, larger is less alike. Pictures are float32 in [0, 1].

    Raises:
        UsageError: the package or AlexNet's weights are not there, or pictures too small for it.

    Source: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018.
    """
    height, width = images.shape[-2:]
    if min(height, width) < _LEAST_SIDE:
        raise UsageError(f"lpips needs pictures of {_LEAST_SIDE} pixels a side or more, not {width}x{height}")
    network = _network()
    pairs = zip(images.float().clamp(0, 1).split(1), reference.float().clamp(0, 1).split(1), strict=True)
    with torch.no_grad():  # each alone, so that a batch cannot tip its numbers
        return torch.cat([network(one, other, normalize=True).flatten() for one, other in pairs])


@lru_cache(maxsize=1)
def _network() -> Any:
    try:
        from lpips import LPIPS
    except ImportError:
        raise UsageError("lpips is not installed; pip install 'semcom[lpips]'") from None
    file = Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE
    if not file.exists() and not offline():
        _download(file)
    if not file.is_file():
        raise UsageError(f"lpips needs torchvision's {BACKBONE}: put it in {file.parent}, or go online once")
    if not hashlib.sha256(file.read_bytes()).hexdigest().startswith(HASH):
        raise UsageError(f"{file} is not torchvision's AlexNet, or damaged: remove it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package names torchvision's weights in the old way
        return LPIPS(net="alex", verbose=False).requires_grad_(False)


def _download(file: Path) -> None:
    from torchvision.models import AlexNet_Weights

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # torch says there what it downloads
            AlexNet_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"lpips needs torchvision's {BACKBONE}, which cannot be fetched ({reason}): put it in {file.parent}"
        ) from None
