"""What a training step looks at: random crops, the same for the same step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from channels._errors import UsageError
from channels._rng import Rng, seed_for
from semcom.images import SOURCES, Entry
from semcom.system import Sample


class Crops:
    """Pictures of all sources in memory, and random crops of them.

    A crop is a square at a random place of a random picture, half of the time magnified (pictures at 128 pixels are
    sharper than a camera's, and coarse detail must be learned too), half of the time mirrored. With a width it is a
    rectangle, which shows as much of the picture as fits, less where it is magnified: scenes are seen whole. Of several
    captions one is drawn.

    Args:
        sources: names that `semcom.images.load` knows; their pictures are equally likely.
        rows: crops a step.
        side: of a crop in pixels; a smaller picture is enlarged.
        zoom: greatest magnification.
        seed: of all steps.
        width: of a crop in pixels, which makes `side` its height; None is a square.

    >>> crops = Crops(["photos"], rows=2, side=32, zoom=2.0, seed=0)
    >>> crops.sample(7).images.shape, bool((crops.sample(7).images == crops.sample(7).images).all())
    (torch.Size([2, 3, 32, 32]), True)
    """

    def __init__(
        self, sources: Sequence[str], rows: int, side: int, zoom: float, seed: int, width: int | None = None
    ) -> None:
        if rows < 1 or side < 1 or zoom < 1 or (width is not None and width < 1):
            raise UsageError(f"rows, crop, width and zoom must be 1 or more, not {rows}, {side}, {width} and {zoom}")
        self.rows, self.side, self.zoom, self.seed = rows, side, zoom, seed
        self.width = width
        self._entries: list[Entry] = []
        for source in sources:
            name, _, argument = source.partition(":")
            if name not in SOURCES:
                raise UsageError(f"no image source {name!r}; there are {', '.join(SOURCES)}")
            self._entries += SOURCES[name](argument)
        if not self._entries:
            raise UsageError("training needs at least one source of pictures")
        self._pictures = [entry.read() for entry in self._entries]
        self._labels = [entry.read_labels() if entry.read_labels else None for entry in self._entries]

    def sample(self, step: int) -> Sample:
        """The rows of a step; captions, labels and categories come along if every row has them."""
        draws = Rng([seed_for(self.seed, "data", step, row) for row in range(self.rows)]).uniform(6).tolist()
        pixels, labels, captions, categories = [], [], [], []
        for draw, zoom, left, top, mirror, told in draws:
            index = int(draw * len(self._pictures))
            picture, classes = self._pictures[index], self._labels[index]
            magnified = max(1.0, 1 + (self.zoom - 1) * (2 * zoom - 1))
            across, down = self._seen(picture, magnified)
            x, y = int(left * (picture.width - across + 1)), int(top * (picture.height - down + 1))
            box = (x, y, x + across, y + down)
            columns = slice(None, None, -1 if mirror < 0.5 else 1)
            cut = picture.resize((self.width or self.side, self.side), Image.Resampling.BICUBIC, box)
            pixels.append(np.asarray(cut)[:, columns])
            entry = self._entries[index]
            captions.append(entry.captions[int(told * len(entry.captions))] if entry.captions else entry.caption)
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

    def _seen(self, picture: Image.Image, magnified: float) -> tuple[int, int]:
        """Width and height of what a crop shows of a picture."""
        if self.width is None:
            side = min(round(self.side / magnified), *picture.size)
            return side, side
        fits = min(picture.width / self.width, picture.height / self.side) / magnified
        return max(1, round(self.width * fits)), max(1, round(self.side * fits))
