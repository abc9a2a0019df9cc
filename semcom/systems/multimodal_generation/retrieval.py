"""Retrieval baseline: candidates are the images of a gallery whose features are closest to the received ones.

Of the image features only the feature maps are compared. With the structural part of the image error in the score, the
nearest image is less often of the same class, because similar content has another layout in another image.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, Shaped
from PIL import Image, ImageOps
from torch import Tensor, nn

from channels.errors import UsageError
from channels.rng import Rng
from semcom import cache
from semcom.images.files import to_tensor
from semcom.images.source_image import Entry
from semcom.images.sources import SOURCES
from semcom.systems.multimodal_generation.networks.clip import Clip
from semcom.systems.multimodal_generation.networks.features import GRID, SIDE, ImageFeatures
from semcom.systems.multimodal_generation.noisy_features import NoisyFeatures
from semcom.systems.multimodal_generation.selection import Criterion, feature_map_errors, text_errors

_VERSION = "4"  # version of the cached features
_BATCH = 64


@dataclass(frozen=True)
class Gallery:
    """Gallery of images as a generator of candidates: it returns the nearest neighbors of the received features.

    Args:
        entries: images, read when they are returned.
        image: float16 [images, hidden, h, w], unit feature map of each image.
        text: float16 [images, dimension], CLIP's features of each image.
        features: the receiver's network of the image features.
        criterion: score by which images are near.
        identity: "gallery@" and the first 8 hexadecimal digits of the SHA-256 of the images, as for a weight file.
    """

    entries: Sequence[Entry]
    image: Shaped[Tensor, "images hidden h w"]
    text: Shaped[Tensor, "images dimension"]
    features: ImageFeatures
    criterion: Criterion
    identity: str

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """Network of the image features."""
        return (self.features,)

    def generate(
        self, image: NoisyFeatures, text: NoisyFeatures, rng: Rng, candidates: int, steps: int
    ) -> Float[Tensor, "rows candidates 3 h w"]:
        """Implement `CandidateGenerator`; the nearest image is first. `rng` and `steps` have no effect.

        Raises:
            UsageError: more candidates than images.
        """
        _check_size(self.entries, candidates)
        nearest, device = [], image.values.device
        for row in range(len(rng)):
            received = self.features.unit_feature_map(image[row : row + 1])
            errors_of_image = torch.cat(
                [feature_map_errors(batch.to(device).float(), received) for batch in self.image.split(_BATCH)]
            )
            errors_of_text = text_errors(self.text.to(device).float(), text[row : row + 1])
            order = self.criterion.scores(errors_of_image[None], errors_of_text[None])[0].argsort(stable=True)
            nearest.append(torch.stack([_pixels(self.entries[place]) for place in order[:candidates].tolist()]))
        return torch.stack(nearest).to(device)


def load_gallery(
    sources: str,
    clip: Clip,
    features: ImageFeatures,
    weights: str,
    criterion: Criterion,
    count: int | None = None,
    candidates: int = 1,
) -> Gallery:
    """Return the gallery of image sources; features are computed once and cached (`semcom.cache`), 17 kB per image.

    Args:
        sources: image sources as for `semcom.images.load`, joined by "+".
        clip: the receiver's CLIP.
        features: the receiver's network of the image features.
        weights: ids of the weights of both networks, part of the cache key.
        criterion: score by which images are near.
        count: number of images taken from each source, from its start; None: all.
        candidates: number of candidates that will be requested.

    Raises:
        UsageError: unknown source, or too few images.
    """
    entries: list[Entry] = []
    for source in sources.split("+"):
        name, _, argument = source.strip().partition(":")
        if name not in SOURCES:
            raise UsageError(f"gallery: no image source {name!r}; use one of {', '.join(SOURCES)}")
        available = SOURCES[name](argument)
        if not isinstance(available, Sequence):  # a data set that is read as far as it is used
            available = list(islice(available, count))
        if count is not None and not 1 <= count <= len(available):
            raise UsageError(
                f"gallery_count must be 1 to {len(available)}, the images of {source.strip()}, not {count}"
            )
        entries += available[:count]
    _check_size(entries, candidates)
    digests = [_digest(entry) for entry in entries]
    arguments = [weights.encode(), *digests]
    content = cache.remember("gallery", _VERSION, arguments, lambda: _features(entries, clip, features))
    text, image = torch.from_numpy(np.load(io.BytesIO(content))).split([clip.dimension, features.hidden * GRID**2], 1)
    identity = f"gallery@{hashlib.sha256(b''.join(digests)).hexdigest()[:8]}"
    return Gallery(entries, image.unflatten(1, (features.hidden, GRID, GRID)), text, features, criterion, identity)


def _check_size(entries: Sequence[Entry], candidates: int) -> None:
    if candidates > len(entries):
        raise UsageError(f"the gallery has {len(entries)} images, fewer than {candidates} candidates")


def _digest(entry: Entry) -> bytes:
    """SHA-256 of the image file, or of the pixels of an image without a file."""
    if entry.files:
        try:
            return hashlib.sha256(entry.files[0].read_bytes()).digest()
        except OSError as error:
            raise UsageError(f"{entry.files[0]} cannot be read: {error.strerror}") from None
    image = entry.read()
    return hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).digest()


@torch.no_grad()
def _features(entries: Sequence[Entry], clip: Clip, features: ImageFeatures) -> bytes:
    batches = []
    for first in range(0, len(entries), _BATCH):
        images = torch.stack([_pixels(entry) for entry in entries[first : first + _BATCH]])
        feature_map = features.unit_feature_map(NoisyFeatures.exact(features(images)))
        batches.append(torch.cat([clip.image_features(images), feature_map.flatten(1)], 1).half())
    file = io.BytesIO()
    np.save(file, torch.cat(batches).numpy())
    return file.getvalue()


def _pixels(entry: Entry) -> Float[Tensor, "3 side side"]:
    return to_tensor(ImageOps.fit(entry.read(), (SIDE, SIDE), Image.Resampling.BICUBIC))
