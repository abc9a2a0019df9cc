"""How alike two sets of pictures are, in the features of the judge: a measure of realism. It is no FID."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from channels._errors import UsageError
from semcom.padding import pad_to_multiple
from semcom.systems.scene.judge import Judge

_STRIDE = 32  # of the judge's deepest features


@torch.no_grad()
def judge_features(judge: Judge, images: Float[Tensor, "rows 3 h w"]) -> Float[Tensor, "rows features"]:
    """The means over each picture of the deepest features of the judge's backbone.

    >>> judge_features(Judge(width=8).eval(), torch.rand(1, 3, 33, 47)).shape
    torch.Size([1, 320])
    """
    padded, _ = pad_to_multiple(images, _STRIDE)
    return judge.backbone((padded - judge.mean) / judge.deviation)[-1].mean((2, 3))


def frechet_distance_of_judge_features(
    real: Float[Tensor, "pictures features"], other: Float[Tensor, "others features"]
) -> float:
    """The squared Frechet distance between two sets' features, taken for Gaussian.

    |m_1 - m_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2)) with means m and sample covariances S. With X_i the features less
    their mean over sqrt(n_i - 1), the last trace is the sum of the singular values of X_1 X_2', which needs no root of
    a matrix and holds for fewer pictures than features. It is of the kind of FID, whose features are of another network
    (Inception); the values cannot be compared. Small sets are further apart than large ones of the same kind: compare
    values of equally many pictures, with that of two sets of photographs beside them.

    Args:
        real: features of photographs, from `judge_features`.
        other: features of restorations.

    Raises:
        UsageError: fewer than two pictures in a set.

    Source: Dowson and Landau, J. Multivariate Analysis 12(3), 1982; Heusel et al., NeurIPS 2017.

    >>> points = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    >>> round(frechet_distance_of_judge_features(points, points + 3), 6)
    18.0
    """
    if min(len(real), len(other)) < 2:
        raise UsageError("a Frechet distance needs two pictures or more in each set")
    means = [features.double().mean(0) for features in (real, other)]
    spread = [
        (features.double() - mean) / (len(features) - 1) ** 0.5
        for features, mean in zip((real, other), means, strict=True)
    ]
    cross = torch.linalg.svdvals(spread[0] @ spread[1].T).sum()
    apart = (means[0] - means[1]).square().sum() + sum(x.square().sum() for x in spread) - 2 * cross
    return max(0.0, float(apart))
