"""How well the classes of a scene are read: from pictures, by a network, against the true map."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from channels._errors import UsageError
from semcom.images import Picture
from semcom.systems.scene.classes import CLASSES, IGNORED


def confusion(seen: Int[Tensor, "rows h w"], truth: Int[Tensor, "rows h w"]) -> Int[Tensor, "rows classes seen"]:
    """Labelled pixels of each row by their true class and the one that is seen; the last column is none.

    >>> confusion(torch.tensor([[[0, 1]]]), torch.tensor([[[0, 0]]]))[0, 0, :3].tolist()
    [1, 1, 0]
    """
    classes = len(CLASSES)
    counts = []
    for row_seen, row_truth in zip(seen.cpu(), truth.cpu(), strict=True):
        known = row_truth != IGNORED
        pairs = row_truth[known] * (classes + 1) + row_seen[known]
        counts.append(torch.bincount(pairs, minlength=classes * (classes + 1)).view(classes, classes + 1))
    return torch.stack(counts)


def accuracy(labels_of: Callable[[Picture], Tensor], pictures: Sequence[Picture]) -> dict[str, float]:
    """Share of the labelled pixels that are right, mIoU, and the intersection over union of each class.

    Counts are summed over the pictures first; a class that is neither there nor seen stands out of the mean.

    Args:
        labels_of: a picture to classes [h, w].
        pictures: with their true maps.
    """
    counts = torch.zeros(len(CLASSES), len(CLASSES) + 1, dtype=torch.int64)
    for picture in pictures:
        if picture.labels is None:
            raise UsageError(f"{picture.name} has no label map")
        counts += confusion(labels_of(picture)[None], picture.labels[None])[0]
    right = counts.diagonal().double()
    union = counts.sum(0)[: len(CLASSES)] + counts.sum(1) - right
    index = {name: float(right[i] / union[i]) for i, name in enumerate(CLASSES) if union[i]}
    mean = sum(index.values()) / len(index)
    return {"miou": mean, "pixel_accuracy": float(right.sum() / counts.sum())} | index
