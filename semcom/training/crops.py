"""Random crops of training images, determined by the seed and the step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from channels.arguments import within
from channels.errors import UsageError
from channels.rng import Rng, seed_for
from semcom.images.source_image import Entry
from semcom.images.sources import entries_of
from semcom.system import Sample


class Crops:
    """All images of some sources in memory, and random crops of them.

    A crop is a square at a random position of a random image. With probability 1/2 it is magnified, so that networks
    also learn coarse detail, and with probability 1/2 it is mirrored. With a width, the crop is a rectangle that shows
    the largest part of the image that fits, or less if it is magnified. One of several captions is chosen at random.

    Args:
        sources: names of image sources as in `semcom.images.load`; all images are equally likely.
        rows: number of crops per step.
        side: side of a crop in pixels, its height if there is a width; smaller images are enlarged.
        zoom: largest magnification, 1 or more.
        seed: seed of all steps.
        width: width of a crop in pixels; None crops squares.

    >>> crops = Crops(["photos"], rows=2, side=32, zoom=2.0, seed=0)
    >>> crops.sample(7).images.shape, bool((crops.sample(7).images == crops.sample(7).images).all())
    (torch.Size([2, 3, 32, 32]), True)
    """

    def __init__(
        self, sources: Sequence[str], rows: int, side: int, zoom: float, seed: int, width: int | None = None
    ) -> None:
        within("rows", rows, 1)
        within("side", side, 1)
        within("width", width, 1, null="square crops")
        within("zoom", zoom, 1)
        self.rows, self.side, self.zoom, self.seed = rows, side, zoom, seed
        self.width = width
        self._entries: list[Entry] = []
        self._numbers: dict[str, range] = {}
        for source in sources:
            first = len(self._entries)
            self._entries += entries_of(source)
            self._numbers[source] = range(first, len(self._entries))
        if not self._entries:
            raise UsageError("training requires at least one image source")
        self._images = [entry.read() for entry in self._entries]
        self._labels = [entry.read_labels() if entry.read_labels else None for entry in self._entries]

    def digest(self, source: str) -> str:
        """SHA-256 of the images of a source and of their annotations, in their order."""
        found = hashlib.sha256()
        for index in self._numbers[source]:
            entry, image, labels = self._entries[index], self._images[index], self._labels[index]
            found.update(json.dumps([image.size, entry.caption, entry.captions, entry.category]).encode())
            found.update(image.tobytes())
            found.update(labels.tobytes() if labels is not None else b"")
        return found.hexdigest()

    def sample(self, step: int) -> Sample:
        """The crops of a step, with captions, labels and categories if every row has them."""
        draws = Rng([seed_for(self.seed, "data", step, row) for row in range(self.rows)]).uniform(6).tolist()
        pixels, labels, captions, categories = [], [], [], []
        for draw, zoom, left, top, mirror, choice in draws:
            index = int(draw * len(self._images))
            image, classes = self._images[index], self._labels[index]
            magnification = max(1.0, 1 + (self.zoom - 1) * (2 * zoom - 1))
            across, down = self._visible_size(image, magnification)
            x, y = int(left * (image.width - across + 1)), int(top * (image.height - down + 1))
            box = (x, y, x + across, y + down)
            columns = slice(None, None, -1 if mirror < 0.5 else 1)
            cut = image.resize((self.width or self.side, self.side), Image.Resampling.BICUBIC, box)
            pixels.append(np.asarray(cut)[:, columns])
            entry = self._entries[index]
            captions.append(entry.captions[int(choice * len(entry.captions))] if entry.captions else entry.caption)
            categories.append(entry.category)
            if classes is not None:
                cut = classes.resize((self.width or self.side, self.side), Image.Resampling.NEAREST, box)
                labels.append(np.asarray(cut)[:, columns].astype(np.int64))
        return Sample(
            images=torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255,
            captions=tuple(caption for caption in captions if caption) if all(captions) else None,
            labels=torch.from_numpy(np.stack(labels)) if len(labels) == self.rows else None,
            categories=None if None in categories else torch.tensor(categories),
        )

    def _visible_size(self, image: Image.Image, magnification: float) -> tuple[int, int]:
        """Width and height of the image region in a crop."""
        if self.width is None:
            side = min(round(self.side / magnification), *image.size)
            return side, side
        fits = min(image.width / self.width, image.height / self.side) / magnification
        return max(1, round(self.width * fits)), max(1, round(self.side * fits))
