"""The baseline without a generator: of known pictures those whose features come nearest to what came in."""

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
from semcom.systems.multimodal_generation.autoencoder import STRIDE, Autoencoder
from semcom.systems.multimodal_generation.clip import Clip
from semcom.systems.multimodal_generation.features import GRID, SIDE, ImageFeatures
from semcom.systems.multimodal_generation.selection import Criterion, Understood, image_errors, text_errors

_VERSION = "4"  # of the features in the cache
_BATCH = 64


@dataclass(frozen=True)
class Gallery:
    """Known pictures in place of a generator; it is asked for candidates as one, and gives the nearest ones.

    Args:
        entries: the pictures, read when they are shown.
        reading, latents, text: what the receiver understands of each as a candidate, and CLIP's features; float16.
        features: of the receiver.
        criterion: which are near.
    """

    entries: Sequence[Entry]
    reading: Shaped[Tensor, "pictures hidden h w"]
    latents: Shaped[Tensor, "pictures latent latent_h latent_w"]
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
            told = Understood.of_features(self.features, image[row : row + 1])
            parts = zip(self.reading.split(_BATCH), self.latents.split(_BATCH), strict=True)
            of_image = torch.cat([image_errors(Understood(a.float(), b.float()), told) for a, b in parts])
            of_text = text_errors(self.text.float(), text[row : row + 1])
            order = self.criterion.scores(of_image[None], of_text[None])[0].argsort(stable=True)
            found.append(torch.stack([_pixels(self.entries[place]) for place in order[:candidates].tolist()]))
        return torch.stack(found)


def gallery(
    sources: str,
    clip: Clip,
    features: ImageFeatures,
    autoencoder: Autoencoder,
    weights: str,
    criterion: Criterion,
    count: int | None = None,
    candidates: int = 1,
) -> Gallery:
    """The gallery of some sources; features are computed once and kept in `semcom.cache`, 21 kB a picture.

    Args:
        sources: as `semcom.images.load` knows them, with + between them.
        clip, features, autoencoder: of the receiver.
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
    kept = cache.remember("gallery", _VERSION, arguments, lambda: _features(entries, clip, features, autoencoder))
    side = SIDE // STRIDE
    text, reading, latents = torch.from_numpy(np.load(io.BytesIO(kept))).split(
        [clip.dimension, features.hidden * GRID**2, autoencoder.latent * side**2], 1
    )
    reading = reading.unflatten(1, (features.hidden, GRID, GRID))
    latents = latents.unflatten(1, (autoencoder.latent, side, side))
    return Gallery(entries, reading, latents, text, features, criterion)


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
def _features(entries: Sequence[Entry], clip: Clip, features: ImageFeatures, autoencoder: Autoencoder) -> bytes:
    found = []
    for first in range(0, len(entries), _BATCH):
        pictures = torch.stack([_pixels(entry) for entry in entries[first : first + _BATCH]])
        seen = Understood.of_pictures(features, autoencoder, pictures)
        parts = (clip.image_features(pictures), seen.reading.flatten(1), seen.latents.flatten(1))
        found.append(torch.cat(parts, 1).half())
    file = io.BytesIO()
    np.save(file, torch.cat(found).numpy())
    return file.getvalue()


def _pixels(entry: Entry) -> Float[Tensor, "3 side side"]:
    return to_tensor(ImageOps.fit(entry.read(), (SIDE, SIDE), Image.Resampling.BICUBIC))
