"""Light and weather of a street scene, and its random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semcom.images.streets.canvas import Floats, Light, Number


class RandomNumbers:
    """Random numbers of one seed, in a fixed order."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def between(self, low: Number, high: Number) -> float:
        """Uniform number in [low, high)."""
        return low + (high - low) * float(self._generator.random())

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return float(self._generator.random()) < probability

    def one_of(self, items: Sequence[tuple[float, ...]]) -> Floats:
        """One item, all with equal probability."""
        return np.array(items[int(self._generator.random() * len(items))])

    def seed(self) -> int:
        """Seed for a noise texture."""
        return int(self._generator.random() * 2**31)


@dataclass(frozen=True)
class Weather:
    """Light and weather of a scene; colors are linear RGB.

    Args:
        name: word for the caption.
        light: light on surfaces.
        zenith, horizon, cloud: colors of the sky.
        cover: cloud cover, 0 to 1.
        haze: attenuation per meter.
        wet: water on the road, 0 to 1.
        lamps: brightness of lamps, 0 to 1.
    """

    name: str
    light: Light
    zenith: Floats
    horizon: Floats
    cloud: Floats
    cover: float
    haze: float
    wet: Number
    lamps: Number


def weather(random: RandomNumbers) -> Weather:
    """Random weather of five kinds: sunny, bright, overcast, rainy, dusky."""
    kind = int(random.between(0, 5))
    side, height = random.between(-1.4, 1.4) + (np.pi if random.chance(0.3) else 0), random.between(0.45, 1.1)
    sun = np.array([np.sin(side) * np.cos(height), np.sin(height), np.cos(side) * np.cos(height)])
    none = np.zeros(3)
    gray = np.ones(3)
    if kind == 0:
        light = Light(sun, np.array([1.15, 1.05, 0.9]), np.array([0.42, 0.48, 0.6]))
        return Weather(
            "sunny", light, np.array([0.1, 0.25, 0.62]), np.array([0.6, 0.72, 0.85]), gray * 0.95, 0.15, 0.0015, 0, 0
        )
    if kind == 1:
        light = Light(sun, np.array([0.7, 0.64, 0.55]), np.array([0.55, 0.58, 0.62]))
        return Weather(
            "bright", light, np.array([0.2, 0.34, 0.6]), np.array([0.75, 0.8, 0.85]), gray * 0.9, 0.65, 0.002, 0, 0
        )
    if kind == 2:
        light = Light(sun, none, np.array([0.78, 0.8, 0.82]))
        return Weather("overcast", light, gray * 0.55, gray * 0.8, np.array([0.62, 0.64, 0.68]), 1.0, 0.0025, 0, 0)
    if kind == 3:
        light = Light(sun, none, np.array([0.5, 0.54, 0.58]))
        return Weather(
            "rainy", light, gray * 0.3, np.array([0.5, 0.53, 0.56]), np.array([0.36, 0.38, 0.42]), 1.0, 0.005, 1, 0.5
        )
    low = np.array([np.sin(side) * 0.95, 0.3, np.cos(side) * 0.95])
    light = Light(low / np.linalg.norm(low), np.array([0.42, 0.2, 0.08]), np.array([0.17, 0.19, 0.28]))
    zenith, horizon = np.array([0.06, 0.1, 0.25]), np.array([0.75, 0.42, 0.24])
    return Weather("dusky", light, zenith, horizon, np.array([0.3, 0.2, 0.22]), 0.4, 0.002, 0.2, 1)
