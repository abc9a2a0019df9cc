"""Frechet distance between two sets of images in features of the evaluation network. It is not FID."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from channels.errors import UsageError
from semcom.images.padding import pad_to_multiple
from semcom.systems.scene.evaluation_network import EvaluationNetwork

_STRIDE = 32  # stride of the deepest features


@torch.no_grad()
def evaluation_features(
    network: EvaluationNetwork, images: Float[Tensor, "rows 3 h w"]
) -> Float[Tensor, "rows features"]:
    """Deepest backbone features of the evaluation network, averaged over each image.

    >>> evaluation_features(EvaluationNetwork(width=8).eval(), torch.rand(1, 3, 33, 47)).shape
    torch.Size([1, 320])
    """
    padded, _ = pad_to_multiple(images, _STRIDE)
    return network.backbone((padded - network.mean) / network.deviation)[-1].mean((2, 3))


def frechet_feature_distance(real: Float[Tensor, "images features"], other: Float[Tensor, "others features"]) -> float:
    """Squared Frechet distance between Gaussians fitted to two sets of features.

    |m_1 - m_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2)) with means m and sample covariances S. With X_i the features minus
    their mean over sqrt(n_i - 1), the last trace is the sum of the singular values of X_1 X_2', which needs no matrix
    square root and also holds for fewer images than features. FID has the same form with features of Inception; the
    values are not comparable. The distance has a positive bias that falls with the number of images: compare values of
    the same number of images, and report the distance between two sets of photographs with them.

    Args:
        real: float [images, features], features of photographs from `evaluation_features`.
        other: float [others, features], features of restored images.

    Raises:
        UsageError: a set has fewer than two images.

    Source: Dowson and Landau, J. Multivariate Analysis 12(3), 1982; Heusel et al., NeurIPS 2017.

    >>> points = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    >>> round(frechet_feature_distance(points, points + 3), 6)
    18.0
    """
    if min(len(real), len(other)) < 2:
        raise UsageError("the Frechet distance requires two images or more in each set")
    means = [features.double().mean(0) for features in (real, other)]
    spread = [
        (features.double() - mean) / (len(features) - 1) ** 0.5
        for features, mean in zip((real, other), means, strict=True)
    ]
    cross = torch.linalg.svdvals(spread[0] @ spread[1].T).sum()
    distance = (means[0] - means[1]).square().sum() + sum(x.square().sum() for x in spread) - 2 * cross
    return max(0.0, float(distance))
