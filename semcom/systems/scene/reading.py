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


def unions(counts: Int[Tensor, "rows classes seen"]) -> tuple[Int[Tensor, "rows classes"], Int[Tensor, "rows classes"]]:
    """Intersections and unions of what is seen and what is true, by class, of `confusion`'s counts."""
    both = counts.diagonal(dim1=1, dim2=2)
    return both, counts.sum(2) + counts.sum(1)[:, : len(CLASSES)] - both


def right(counts: Int[Tensor, "rows classes seen"]) -> tuple[Int[Tensor, " rows"], Int[Tensor, " rows"]]:
    """Pixels that are seen as their true class, and all labelled ones, of `confusion`'s counts."""
    return counts.diagonal(dim1=1, dim2=2).sum(1), counts.sum((1, 2))


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
    (both,), (either,) = unions(counts[None])
    index = {name: int(both[i]) / int(either[i]) for i, name in enumerate(CLASSES) if either[i]}
    mean = sum(index.values()) / len(index)
    return {"miou": mean, "pixel_accuracy": int(both.sum()) / int(counts.sum())} | index
