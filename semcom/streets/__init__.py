"""Drawn street scenes with exact label maps: labelled pictures that need no download.

A perspective street under one of five skies: houses, shops, gardens, fences, trees, lamps, signs, cars, people and
cyclists, each surface textured and lit. Every label is the class of the surface that covers most of its pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels._errors import UsageError
from channels._rng import seed_for
from semcom.streets import ground
from semcom.streets.canvas import Canvas, Floats, Number, rough
from semcom.streets.scene import AUTUMN, LEAVES, PAVEMENT, ROAD, Scene, furnish
from semcom.streets.weather import Draw, Weather, weather

COUNTS = {"train": 400, "val": 50, "test": 100}
SIZE = (192, 256)  # height and width
_SUPERSAMPLING = 2


@dataclass(frozen=True)
class Drawing:
    """A drawn street.

    Args:
        pixels: uint8 [h, w, 3], RGB.
        labels: uint8 [h, w], CamVid's classes 0 to 10.
        caption: one sentence about it.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    caption: str


class Streets(Sequence[Drawing]):
    """The streets of a split, drawn when they are looked at.

    Args:
        split: "train", "val" or "test".
        size: height and width in pixels.

    Raises:
        UsageError: no such split.

    >>> len(Streets("test"))
    100
    """

    def __init__(self, split: str = "test", size: tuple[int, int] = SIZE) -> None:
        if split not in COUNTS:
            raise UsageError(f"streets has no split {split!r}; there are {', '.join(COUNTS)}")
        self.split, self.size = split, size

    def __len__(self) -> int:
        return COUNTS[self.split]

    def __getitem__(self, index: int) -> Drawing:  # type: ignore[override]
        return _drawn(self.split, range(len(self))[index], self.size)


@lru_cache(maxsize=64)
def _drawn(split: str, index: int, size: tuple[int, int]) -> Drawing:
    return draw_street(seed_for("streets", split, index), size)


def draw_street(seed: int, size: tuple[int, int] = SIZE) -> Drawing:
    """Draw the street of a seed.

    Args:
        seed: any number from 0, for instance `seed_for("streets", "test", 3)`.
        size: height and width in pixels; the view is widened or cropped, not distorted.

    Raises:
        UsageError: a side below 16 pixels.

    >>> street = draw_street(7, (48, 64))
    >>> street.pixels.shape, street.labels.shape, int(street.labels.max()) <= 10
    ((48, 64, 3), (48, 64), True)
    """
    if min(size) < 16:
        raise UsageError(f"a street needs 16 pixels on each side, not {size[0]} x {size[1]}")
    draw = Draw(seed)
    sky = weather(draw)
    kind = ("high street", "residential street", "park road")[int(draw.between(0, 2.99))]
    road = draw.between(3.2, 4.6)
    street = ground.Street(
        road=road,
        pavement=road + draw.between(1.8, 3.2),
        bend=draw.between(-0.0016, 0.0016),
        crossing=draw.between(9, 22) if draw.chance(0.3) else 0.0,
        yellow=draw.chance(0.4),
        wet=sky.wet,
        seed=draw.seed(),
    )
    leaves = draw.one_of(AUTUMN if draw.chance(0.2) else LEAVES)
    height, width = (side * _SUPERSAMPLING for side in size)
    horizon, centre, eye = draw.between(0.42, 0.52), draw.between(0.42, 0.58), draw.between(1.3, 1.7)
    canvas = Canvas(height, width, horizon, centre, eye, sky.light)
    ground.sky(canvas, sky.zenith, sky.horizon, sky.cloud, sky.cover, draw.seed())
    scene = Scene(canvas, draw, sky, street, kind, leaves)
    furnish(scene)
    pixels = _developed(_hazed(canvas, sky, street.wet), draw)
    return Drawing(pixels, _majority(canvas.label), _caption(scene))


def _hazed(canvas: Canvas, sky: Weather, wet: Number) -> Floats:
    """The picture through air, and the wet road as a mirror."""
    colour = canvas.colour
    clear = np.exp(-sky.haze * np.where(np.isinf(canvas.depth), 0, canvas.depth))[..., None]
    colour = colour * clear + (1 - clear) * sky.horizon * 0.9
    if wet > 0.5:
        rows = np.arange(len(colour))
        edge = int(np.argmax(canvas.up < 0))
        mirrored = np.clip(2 * edge - rows, 0, len(colour) - 1)
        u, v = np.meshgrid(np.arange(colour.shape[1]) / 14, rows / 5)
        ripples = (5 * rough(u, v, 0 * u, 17, 3)).astype(int)
        columns = np.clip(np.arange(colour.shape[1])[None, :] + ripples, 0, colour.shape[1] - 1)
        reflection = colour[mirrored[:, None], columns]
        glance = np.clip(0.5 + 1.6 * canvas.up, 0.12, 0.42)[:, None] * np.where(
            canvas.label == ROAD, 1, 0.5 * (canvas.label == PAVEMENT)
        )
        colour = colour * (1 - glance[..., None]) + reflection * glance[..., None]
    return colour


def _developed(colour: Floats, draw: Draw) -> NDArray[np.uint8]:
    """Average the samples of each pixel, expose, add a camera's noise, and encode as sRGB does roughly."""
    height, width = (side // _SUPERSAMPLING for side in colour.shape[:2])
    mean = colour.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING, 3).mean((1, 3))
    exposed = 1 - np.exp(-1.5 * draw.between(0.9, 1.15) * np.clip(mean, 0, None))
    encoded = exposed ** (1 / 2.2)
    encoded = encoded + 1.1 * encoded * (1 - encoded) * (encoded - 0.46)  # contrast
    grey = encoded.mean(2, keepdims=True)
    encoded = grey + 1.15 * (encoded - grey)
    grain = np.random.Generator(np.random.PCG64(draw.seed())).random((height, width, 3)) - 0.5
    return (np.clip(encoded + 0.02 * grain, 0, 1) * 255).round().astype(np.uint8)


def _majority(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The commonest label of each pixel's samples; a thin thing that has half of them wins."""
    height, width = (side // _SUPERSAMPLING for side in labels.shape)
    samples = (
        labels.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING).transpose(1, 3, 0, 2).reshape(-1, height, width)
    )
    thin = np.array([0, 1, 9, 2, 3, 1, 8, 4, 5, 7, 6])[samples]  # of two equally common, sky yields to pole
    votes = (samples[:, None] == samples[None]).sum(1) * 16 + thin
    return np.take_along_axis(samples, votes.argmax(0)[None], 0)[0]


def _caption(scene: Scene) -> str:
    """A sentence about what is plainly visible."""
    visible = np.bincount(scene.canvas.label.ravel(), minlength=11) / scene.canvas.label.size
    numbers = ("no", "a", "two", "three", "four", "five")

    def some(count: int, one: str, many: str) -> str:
        return f"a {one}" if count == 1 else f"{numbers[count] if count < 6 else 'many'} {many}"

    shown = [
        some(scene.counts.get(one, 0), one, many)
        for one, many, label in (("car", "cars", 8), ("person", "people", 9), ("cyclist", "cyclists", 10))
        if visible[label] > 0.0015 and one in scene.counts
    ]
    shown += [many for many, label, least in (("trees", 5, 0.06), ("fences", 7, 0.01)) if visible[label] > least]
    article = "an" if scene.weather.name[0] in "aeiou" else "a"
    things = ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else "".join(shown)
    place = f"{article} {scene.weather.name} {scene.kind}"
    return f"{place.capitalize()} with {things}." if things else f"{place.capitalize()} without traffic."
