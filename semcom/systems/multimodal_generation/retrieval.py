"""The baseline without a generator: of known pictures those whose features come nearest to what came in.

Of the image features their readings alone are compared: another picture of the same kind has things elsewhere, and with
structure in the score the nearest one is less often of the same class.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from PIL import Image, ImageOps
from torch import Tensor

from channels._errors import UsageError
from channels._rng import Rng
from semcom import cache, images
from semcom.images import SOURCES, Entry, to_tensor
from semcom.systems.multimodal_generation.air import Heard
from semcom.systems.multimodal_generation.clip import Clip
from semcom.systems.multimodal_generation.features import GRID, SIDE, ImageFeatures
from semcom.systems.multimodal_generation.selection import Criterion, reading_errors, text_errors

_VERSION = "3"  # of the features in the cache
_BATCH = 64


@dataclass(frozen=True)
class Gallery:
    """Known pictures in place of a generator; it is asked for candidates as one, and gives the nearest ones.

    Args:
        entries: the pictures, read when they are shown.
        image, text: readings and CLIP's features of each, as the receiver sees them in candidates; float16.
        features: of the receiver.
        criterion: which are near.
    """

    entries: Sequence[Entry]
    image: Shaped[Tensor, "pictures hidden h w"]
    text: Shaped[Tensor, "pictures dimension"]
    features: ImageFeatures
    criterion: Criterion

    def generate(
        self, image: Heard, text: Heard, rng: Rng, candidates: int, steps: int
    ) -> Float[Tensor, "rows candidates 3 h w"]:
        """See `generator.Draws`; the nearest first. Nothing is drawn, and there are no steps.

        Raises:
            UsageError: more candidates than pictures.
        """
        _enough(self.entries, candidates)
        found = []
        for row in range(len(rng)):
            told = self.features.unit_reading(image[row : row + 1])
            of_image = torch.cat([reading_errors(some.float(), told) for some in self.image.split(_BATCH)])
            of_text = text_errors(self.text.float(), text[row : row + 1])
            order = self.criterion.scores(of_image[None], of_text[None])[0].argsort(stable=True)
            found.append(torch.stack([_pixels(self.entries[place]) for place in order[:candidates].tolist()]))
        return torch.stack(found)


def gallery(
    sources: str,
    clip: Clip,
    features: ImageFeatures,
    weights: str,
    criterion: Criterion,
    count: int | None = None,
    candidates: int = 1,
) -> Gallery:
    """The gallery of some sources; features are computed once and kept in `semcom.cache`, 17 kB a picture.

    Args:
        sources: as `semcom.images.load` knows them, with + between them.
        clip, features: of the receiver.
        weights: ids of these, by which features in the cache are known.
        criterion: as in `Gallery`.
        count: the first so many pictures of each source; None is all.
        candidates: how many it will be asked for.

    Raises:
        UsageError: no such source, or not that many pictures.
    """
    entries: list[Entry] = []
    for source in sources.split("+"):
        name, _, argument = source.strip().partition(":")
        if name not in SOURCES:
            raise UsageError(f"no image source {name!r}; there are {', '.join(SOURCES)}")
        there = SOURCES[name](argument)
        if count is not None and not 1 <= count <= len(there):
            raise UsageError(f"{source.strip()} has {len(there)} pictures; gallery_count cannot be {count}")
        entries += there[:count]
    _enough(entries, candidates)
    arguments = [weights.encode(), *map(_content, entries)]
    kept = cache.remember("gallery", _VERSION, arguments, lambda: _features(entries, clip, features))
    text, image = torch.from_numpy(np.load(io.BytesIO(kept))).split([clip.dimension, features.hidden * GRID**2], 1)
    return Gallery(entries, image.unflatten(1, (features.hidden, GRID, GRID)), text, features, criterion)


def _enough(entries: Sequence[Entry], candidates: int) -> None:
    if candidates > len(entries):
        raise UsageError(f"the gallery has {len(entries)} pictures, fewer than {candidates} candidates")


def _content(entry: Entry) -> bytes:
    """What changes with a picture: place, length and time of its file, which is not opened, or else its pixels."""
    match entry.read:
        case partial(func=images.open_image, args=(Path() as path,)) if path.is_file():
            status = path.stat()
            return f"{path.absolute()} {status.st_size} {status.st_mtime_ns}".encode()
    picture = entry.read()
    return hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).digest()


@torch.no_grad()
def _features(entries: Sequence[Entry], clip: Clip, features: ImageFeatures) -> bytes:
    found = []
    for first in range(0, len(entries), _BATCH):
        pictures = torch.stack([_pixels(entry) for entry in entries[first : first + _BATCH]])
        image = features.unit_reading(Heard.exact(features(pictures)))
        found.append(torch.cat([clip.image_features(pictures), image.flatten(1)], 1).half())
    file = io.BytesIO()
    np.save(file, torch.cat(found).numpy())
    return file.getvalue()


def _pixels(entry: Entry) -> Float[Tensor, "3 side side"]:
    return to_tensor(ImageOps.fit(entry.read(), (SIDE, SIDE), Image.Resampling.BICUBIC))
