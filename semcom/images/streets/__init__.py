"""Rendered street scenes with exact label maps and captions; no download is needed.

A street in perspective, in one of five kinds of weather, with houses, shops, gardens, fences, trees, lamps, signs,
cars, people and cyclists. The label of a pixel is the class of the surface that covers most of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.errors import UsageError
from channels.rng import seed_for
from semcom.images.street_classes import CLASSES, StreetClass
from semcom.images.streets import ground
from semcom.images.streets.canvas import Canvas, Floats, Number, rough
from semcom.images.streets.scene import AUTUMN, LEAVES, Scene, furnish
from semcom.images.streets.weather import RandomNumbers, Weather, weather

COUNTS = {"train": 400, "val": 50, "test": 100}
SIZE = (192, 256)  # height and width
_SUPERSAMPLING = 2
_TIE_ORDER = (0, 1, 9, 2, 3, 1, 8, 4, 5, 7, 6)  # rank of each class in a tie: pole wins over sky


@dataclass(frozen=True)
class StreetImage:
    """A rendered street scene.

    Args:
        pixels: uint8 [h, w, 3], RGB.
        labels: uint8 [h, w], `StreetClass` numbers 0 to 10.
        caption: one sentence that describes it.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    caption: str


class Streets(Sequence[StreetImage]):
    """Street scenes of a split, rendered on access.

    Args:
        split: "train", "val" or "test" (400, 50 and 100 scenes).
        size: height and width in pixels.

    Raises:
        UsageError: there is no such split.

    >>> len(Streets("test"))
    100
    """

    def __init__(self, split: str = "test", size: tuple[int, int] = SIZE) -> None:
        if split not in COUNTS:
            raise UsageError(f"streets has no split {split!r}; there are {', '.join(COUNTS)}")
        self.split, self.size = split, size

    def __len__(self) -> int:
        return COUNTS[self.split]

    def __getitem__(self, index: int) -> StreetImage:  # type: ignore[override]
        return _cached_street(self.split, range(len(self))[index], self.size)


@lru_cache(maxsize=64)
def _cached_street(split: str, index: int, size: tuple[int, int]) -> StreetImage:
    return render_street(seed_for("streets", split, index), size)


def render_street(seed: int, size: tuple[int, int] = SIZE) -> StreetImage:
    """Render the street of a seed.

    Args:
        seed: non-negative integer, for instance `seed_for("streets", "test", 3)`.
        size: height and width in pixels; another aspect ratio crops or widens the view.

    Raises:
        UsageError: a side is below 16 pixels.

    >>> street = render_street(7, (48, 64))
    >>> street.pixels.shape, street.labels.shape, int(street.labels.max()) <= 10
    ((48, 64, 3), (48, 64), True)
    """
    if min(size) < 16:
        raise UsageError(f"a street requires 16 pixels on each side, not {size[0]} x {size[1]}")
    random = RandomNumbers(seed)
    sky = weather(random)
    kind = ("high street", "residential street", "park road")[int(random.between(0, 2.99))]
    road = random.between(3.2, 4.6)
    street = ground.Street(
        road=road,
        pavement=road + random.between(1.8, 3.2),
        bend=random.between(-0.0016, 0.0016),
        crossing=random.between(9, 22) if random.chance(0.3) else 0.0,
        yellow=random.chance(0.4),
        wet=sky.wet,
        seed=random.seed(),
    )
    leaves = random.one_of(AUTUMN if random.chance(0.2) else LEAVES)
    height, width = (side * _SUPERSAMPLING for side in size)
    horizon, center, eye = random.between(0.42, 0.52), random.between(0.42, 0.58), random.between(1.3, 1.7)
    canvas = Canvas(height, width, horizon, center, eye, sky.light)
    ground.sky(canvas, sky.zenith, sky.horizon, sky.cloud, sky.cover, random.seed())
    scene = Scene(canvas, random, sky, street, kind, leaves)
    furnish(scene)
    pixels = _developed(_hazed(canvas, sky, street.wet), random)
    return StreetImage(pixels, _majority(canvas.label), _caption(scene))


def _hazed(canvas: Canvas, sky: Weather, wet: Number) -> Floats:
    """Add haze, and reflections of a wet road."""
    color = canvas.color
    clear = np.exp(-sky.haze * np.where(np.isinf(canvas.depth), 0, canvas.depth))[..., None]
    color = color * clear + (1 - clear) * sky.horizon * 0.9
    if wet > 0.5:
        rows = np.arange(len(color))
        edge = int(np.argmax(canvas.up < 0))
        mirrored = np.clip(2 * edge - rows, 0, len(color) - 1)
        u, v = np.meshgrid(np.arange(color.shape[1]) / 14, rows / 5)
        ripples = (5 * rough(u, v, 0 * u, 17, 3)).astype(int)
        columns = np.clip(np.arange(color.shape[1])[None, :] + ripples, 0, color.shape[1] - 1)
        reflection = color[mirrored[:, None], columns]
        glance = np.clip(0.5 + 1.6 * canvas.up, 0.12, 0.42)[:, None] * np.where(
            canvas.label == StreetClass.ROAD, 1, 0.5 * (canvas.label == StreetClass.PAVEMENT)
        )
        color = color * (1 - glance[..., None]) + reflection * glance[..., None]
    return color


def _developed(color: Floats, random: RandomNumbers) -> NDArray[np.uint8]:
    """Average the samples of each pixel, apply exposure, tone curve (about sRGB) and saturation, and add noise."""
    height, width = (side // _SUPERSAMPLING for side in color.shape[:2])
    mean = color.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING, 3).mean((1, 3))
    exposed = 1 - np.exp(-1.5 * random.between(0.9, 1.15) * np.clip(mean, 0, None))
    encoded = exposed ** (1 / 2.2)
    encoded = encoded + 1.1 * encoded * (1 - encoded) * (encoded - 0.46)  # contrast
    gray = encoded.mean(2, keepdims=True)
    encoded = gray + 1.15 * (encoded - gray)
    grain = np.random.Generator(np.random.PCG64(random.seed())).random((height, width, 3)) - 0.5
    return (np.clip(encoded + 0.02 * grain, 0, 1) * 255).round().astype(np.uint8)


def _majority(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Most frequent label of each pixel's samples; thin objects win ties."""
    height, width = (side // _SUPERSAMPLING for side in labels.shape)
    samples = (
        labels.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING).transpose(1, 3, 0, 2).reshape(-1, height, width)
    )
    thin = np.array(_TIE_ORDER)[samples]
    votes = (samples[:, None] == samples[None]).sum(1) * 16 + thin
    return np.take_along_axis(samples, votes.argmax(0)[None], 0)[0]


def _caption(scene: Scene) -> str:
    """Caption of the visible objects."""
    visible = np.bincount(scene.canvas.label.ravel(), minlength=len(CLASSES)) / scene.canvas.label.size
    numbers = ("no", "a", "two", "three", "four", "five")

    def some(count: int, one: str, many: str) -> str:
        return f"a {one}" if count == 1 else f"{numbers[count] if count < 6 else 'many'} {many}"

    names = [
        some(scene.counts.get(one, 0), one, many)
        for one, many, label in (
            ("car", "cars", StreetClass.CAR),
            ("person", "people", StreetClass.PEDESTRIAN),
            ("cyclist", "cyclists", StreetClass.BICYCLIST),
        )
        if visible[label] > 0.0015 and one in scene.counts
    ]
    names += [
        many
        for many, label, least in (("trees", StreetClass.TREE, 0.06), ("fences", StreetClass.FENCE, 0.01))
        if visible[label] > least
    ]
    article = "an" if scene.weather.name[0] in "aeiou" else "a"
    objects = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
    place = f"{article} {scene.weather.name} {scene.kind}"
    return f"{place.capitalize()} with {objects}." if objects else f"{place.capitalize()} without traffic."
