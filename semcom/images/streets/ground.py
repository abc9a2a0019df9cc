"""Shaders of the ground, asphalt with markings, paving stones and grass; and the sky."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semcom.images.streets.canvas import Canvas, Floats, Hits, Number, Shader, band, mixed, rough, stripes

Lighting = Callable[[Hits], Floats]  # light at points of the ground, [n, 3]

_PAINT = np.array([0.62, 0.61, 0.58])
_YELLOW = np.array([0.55, 0.4, 0.06])


@dataclass(frozen=True)
class Street:
    """Ground plan; distances in meters from the middle of the road.

    Args:
        road: half of the road width.
        pavement: distance of the outer edge of the pavement.
        bend: curvature; the middle of the road at depth z is at x = bend z^2.
        crossing: depth of a zebra crossing; 0 for none.
        yellow: whether double yellow lines run along the kerb.
        wet: water on the road, 0 to 1.
        seed: seed of the textures.
    """

    road: float
    pavement: float
    bend: float
    crossing: float
    yellow: bool
    wet: Number
    seed: int

    def middle(self, z: Floats) -> Floats:
        """x of the middle of the road at depth z."""
        return self.bend * z * z

    def away(self, hits: Hits, left_edge: float) -> Floats:
        """Meters from the middle of the road."""
        return np.abs(hits.s + left_edge - self.middle(hits.t))


@dataclass(frozen=True)
class Shade:
    """Soft shadow on the ground from (x, z) to (end_x, end_z); it removes the share `blocks` of the light."""

    x: float
    z: float
    end_x: float
    end_z: float
    radius: float
    end_radius: float
    blocks: float


def shaded(x: Floats, z: Floats, shades: list[Shade]) -> Floats:
    """Remaining share of the light at points of the ground."""
    left = np.ones(x.shape, np.float32)
    for shade in shades:
        reach = max(shade.radius, shade.end_radius) * 1.6
        near = (x > min(shade.x, shade.end_x) - reach) & (x < max(shade.x, shade.end_x) + reach)
        near &= (z > min(shade.z, shade.end_z) - reach) & (z < max(shade.z, shade.end_z) + reach)
        if not near.any():
            continue
        dx, dz = shade.end_x - shade.x, shade.end_z - shade.z
        px, pz = x[near] - shade.x, z[near] - shade.z
        along = np.clip((px * dx + pz * dz) / max(dx * dx + dz * dz, 1e-6), 0, 1)
        radius = shade.radius + (shade.end_radius - shade.radius) * along
        distance = np.hypot(px - along * dx, pz - along * dz) / radius
        left[near] *= 1 - shade.blocks * np.clip((1.25 - distance) / 0.5, 0, 1)
    return left


def _where(inside: Callable[[Hits], NDArray[np.bool_]], paint: Callable[[Hits], Floats]) -> Shader:
    """Shader of the hits for which `inside` is true."""

    def shader(hits: Hits) -> tuple[Floats, NDArray[np.bool_]]:
        mask = inside(hits)
        color = np.zeros((len(mask), 3))
        color[mask] = paint(
            Hits(*(part[mask] for part in (hits.s, hits.t, hits.footprint_s, hits.footprint_t, hits.z)))
        )
        return color, mask

    return shader


def road(street: Street, left_edge: float, shade: Lighting) -> Shader:
    """Shader of asphalt between the kerbs, with markings; `shade` is the light on it."""

    def paint(hits: Hits) -> Floats:
        x, z = hits.s + left_edge - street.middle(hits.t), hits.t
        grain = rough(x * 6, z * 6, hits.footprint_t * 6, street.seed, 3)
        broad = rough(x * 0.35, z * 0.12, hits.footprint_t * 0.3, street.seed + 9)
        tracks = np.exp(-((np.abs(np.abs(x) - street.road / 2) - 0.75) ** 2) / 0.12)
        patch = (rough(np.floor(x / 1.7), np.floor(z / 6), 0 * x, street.seed + 4, 1) > 0.38) * 0.15
        base = 0.135 * (1 - 0.35 * street.wet)
        color = base * (1 + 0.45 * grain + 0.5 * broad - 0.1 * tracks - patch)[:, None] * np.array([1, 1, 1.03])
        worn = np.clip(1.0 + 0.9 * rough(x * 4, z * 4, hits.footprint_t * 4, street.seed + 5), 0.2, 1)
        color = mixed(color, _PAINT, 0.85 * worn * _marks(street, x, z, hits))
        if street.yellow:
            inset = street.road - np.abs(x)
            lines = band(inset, 0.25, 0.35, hits.footprint_s) + band(inset, 0.5, 0.6, hits.footprint_s)
            color = mixed(color, _YELLOW, 0.8 * worn * np.clip(lines, 0, 1))
        return color * shade(hits)

    return _where(lambda hits: street.away(hits, left_edge) <= street.road, paint)


def _marks(street: Street, x: Floats, z: Floats, hits: Hits) -> Floats:
    dashes = band(x, -0.07, 0.07, hits.footprint_s) * stripes(z + 1.3, 6.0, 3.0, hits.footprint_t)
    if not street.crossing:
        return dashes
    at = street.crossing
    zebra = band(z, at, at + 3.2, hits.footprint_t) * stripes(x + 20, 1.2, 0.6, hits.footprint_s)
    stop = band(z, at - 1.6, at - 1.3, hits.footprint_t) * (x < 0)
    clear = 1 - band(z, at - 2, at + 4, hits.footprint_t)
    return np.maximum(np.maximum(dashes * clear, zebra), stop)


def pavement(street: Street, left_edge: float, shade: Lighting) -> Shader:
    """Shader of paving stones and kerb."""

    def paint(hits: Hits) -> Floats:
        x, z = hits.s + left_edge - street.middle(hits.t), hits.t
        away = np.abs(x) - street.road
        joints = np.maximum(stripes(x, 0.6, 0.03, hits.footprint_s), stripes(z, 0.6, 0.03, hits.footprint_t))
        shade_of = 1 + 0.3 * rough(x * 2, z * 2, hits.footprint_t * 2, street.seed + 2) - 0.35 * joints
        stone = (rough(np.floor(x / 0.6), np.floor(z / 0.6), hits.footprint_t, street.seed + 3, 1)) * 0.25
        color = (0.27 - 0.08 * street.wet) * (shade_of + stone)[:, None] * np.array([1.03, 1, 0.95])
        kerb = band(away, 0, 0.16, hits.footprint_s)
        stones = 1 - 0.3 * stripes(z, 0.9, 0.04, hits.footprint_t)
        color = mixed(color, np.array([0.4, 0.39, 0.37]) * stones[:, None], kerb)
        gutter = band(away, -0.02, 0.03, hits.footprint_s)
        return color * (1 - 0.5 * gutter)[:, None] * shade(hits)

    return _where(
        lambda hits: (street.away(hits, left_edge) > street.road) & (street.away(hits, left_edge) <= street.pavement),
        paint,
    )


def grass(street: Street, left_edge: float, tint: Floats, shade: Lighting) -> Shader:
    """Shader of the grass beyond the pavement."""

    def paint(hits: Hits) -> Floats:
        x, z = hits.s + left_edge - street.middle(hits.t), hits.t
        blades = rough(x * 5, z * 3, hits.footprint_t * 3, street.seed + 6)
        broad = rough(x * 0.4, z * 0.4, hits.footprint_t * 0.4, street.seed + 7)
        return tint * (1 + 0.7 * blades + 0.5 * broad)[:, None] * shade(hits)

    return _where(lambda hits: street.away(hits, left_edge) > street.pavement, paint)


def sky(canvas: Canvas, zenith: Floats, horizon: Floats, cloud: Floats, cover: float, seed: int) -> None:
    """Fill the canvas with a color gradient and clouds at infinite depth."""
    rise = np.clip(canvas.up, 0, None)[:, None]
    share = np.clip(rise / 0.55, 0, 1) ** 0.7
    color = horizon + (zenith - horizon) * np.broadcast_to(share, canvas.depth.shape)[..., None]
    spread = 1 / (rise + 0.12)
    x, y = canvas.right[None, :] * spread * 0.9, spread * 1.6 + 0 * canvas.right[None, :]
    puffs = rough(x, y, 0 * x, seed, 5) + 0.5
    veil = np.clip((puffs - (0.78 - 0.55 * cover)) * (2.2 + 1.5 * (1 - cover)), 0, 1)
    lumps = 1 + 0.5 * rough(x * 1.7 + 5, y * 1.7, 0 * x, seed + 20, 4)
    canvas.color[:] = color + (cloud * lumps[..., None] - color) * (0.95 * veil)[..., None]
