"""A pinhole camera, a depth buffer, and textured planes: all that the streets are drawn with.

World axes in metres: x right, y up, z ahead; the camera stands at (0, eye, 0) and looks along z. Every surface is a
piece of a plane, painted pixel by pixel where the ray of the pixel meets it, so the picture, the label and the depth of
a pixel always come from the same surface.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Number = float | int
Point = tuple[Number, Number, Number]
_NEAR = 0.6  # metres


@dataclass(frozen=True)
class Hits:
    """Where rays meet a plane; arrays of one length.

    Args:
        s, t: metres along the plane's two axes.
        foot_s, foot_t: metres that one pixel covers along them.
        z: depth in metres.
    """

    s: Floats
    t: Floats
    foot_s: Floats
    foot_t: Floats
    z: Floats


# A shader paints hits: their colours [n, 3] (0 to 1, linear in light), and which of them are part of the thing.
Shader = Callable[[Hits], tuple[Floats, NDArray[np.bool_]]]


@dataclass(frozen=True)
class Light:
    """Where light comes from.

    Args:
        sun: unit vector towards the sun.
        direct: colour of sunlight, zero when the sky is covered.
        ambient: colour of the light of the sky.
    """

    sun: Floats
    direct: Floats
    ambient: Floats

    def on(self, normal: Floats) -> Floats:
        """Light that a matt surface with this unit normal reflects."""
        return self.ambient * (0.8 + 0.2 * normal[1]) + self.direct * max(0.0, float(normal @ self.sun))


class Canvas:
    """Picture, labels and depth of one view.

    Args:
        height, width: in pixels.
        horizon: its row, as a share of the height.
        centre: column of the vanishing point, as a share of the width.
        eye: height of the camera in metres.
        light: of the scene.
    """

    def __init__(self, height: int, width: int, horizon: float, centre: float, eye: float, light: Light) -> None:
        self.eye, self.light = eye, light
        self.focal = 0.85 * width
        self.right = ((np.arange(width) + 0.5 - centre * width) / self.focal).astype(np.float32)
        self.up = ((horizon * height - np.arange(height) - 0.5) / self.focal).astype(np.float32)
        self.colour = np.zeros((height, width, 3), np.float32)
        self.label = np.zeros((height, width), np.uint8)
        self.depth = np.full((height, width), np.inf, np.float32)

    def plane(
        self,
        corner: Point,
        along: Point,
        up: Point,
        shader: Shader,
        label: int,
        lit: bool = True,
    ) -> None:
        """Paint the rectangle from `corner` with the edges `along` and `up`, where nothing is nearer."""
        origin, edge_s, edge_t = np.array(corner, float), np.array(along, float), np.array(up, float)
        length_s, length_t = np.linalg.norm(edge_s), np.linalg.norm(edge_t)
        unit_s, unit_t = edge_s / length_s, edge_t / length_t
        normal = np.cross(unit_s, unit_t)
        origin = origin - [0, self.eye, 0]
        if normal @ origin > 0:
            normal = -normal  # faces the camera
        window = self._window(origin, edge_s, edge_t)
        if window is None:
            return
        right, rise = self.right[window[1]][None, :], self.up[window[0]][:, None]
        facing = right * normal[0] + rise * normal[1] + normal[2]
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (origin @ normal) / facing
            s = (right * unit_s[0] + rise * unit_s[1] + unit_s[2]) * z - origin @ unit_s
            t = (right * unit_t[0] + rise * unit_t[1] + unit_t[2]) * z - origin @ unit_t
            inside = (z > _NEAR) & (z < self.depth[window]) & (s >= 0) & (s <= length_s) & (t >= 0) & (t <= length_t)
        rows, columns = np.nonzero(inside)
        if not len(rows):
            return
        z, s, t = z[rows, columns], s[rows, columns], t[rows, columns]
        pixel = z / self.focal
        slant = np.sqrt(1 + right[0, columns] ** 2 + rise[rows, 0] ** 2) / np.abs(facing[rows, columns])
        lean = abs(normal[1])  # on level planes it is t that runs away from the eye, on upright ones it is s
        foot_s, foot_t = pixel * (slant * (1 - lean) + lean), pixel * (slant * lean + 1 - lean)
        painted, keep = shader(Hits(s, t, foot_s, foot_t, z))
        if lit:
            painted = painted * self.light.on(normal)
        rows, columns = rows[keep] + window[0].start, columns[keep] + window[1].start
        self.colour[rows, columns] = painted[keep]
        self.label[rows, columns] = label
        self.depth[rows, columns] = z[keep]

    def upright(
        self, x: Number, z: Number, width: Number, height: Number, shader: Shader, label: int, lit: bool = True
    ) -> None:
        """Paint something flat that stands on the ground at (x, z) and faces the camera."""
        self.plane((x - width / 2, 0, z), (width, 0, 0), (0, height, 0), shader, label, lit)

    def _window(self, origin: Floats, edge_s: Floats, edge_t: Floats) -> tuple[slice, slice] | None:
        """Rows and columns that the parallelogram can cover; all of them when a corner is behind the camera."""
        corners = np.array([origin, origin + edge_s, origin + edge_t, origin + edge_s + edge_t])
        if (corners[:, 2] < _NEAR).all():
            return None
        if (corners[:, 2] < _NEAR).any():
            return slice(0, len(self.up)), slice(0, len(self.right))
        across, rise = corners[:, 0] / corners[:, 2], corners[:, 1] / corners[:, 2]
        left, end = np.searchsorted(self.right, [across.min(), across.max()])
        top, bottom = np.searchsorted(-self.up, [-rise.max(), -rise.min()])
        if left == end or top == bottom:
            return None
        return slice(int(top), int(bottom)), slice(int(left), int(end))


# --- patterns that stay smooth far away ------------------------------------------------------------------------------


def stripes(x: Floats, period: Number, width: Number, foot: Floats) -> Floats:
    """How much of a footprint of `foot` metres the stripes [k period, k period + width) cover, exactly."""
    foot = np.maximum(foot, 1e-4)

    def area(end: Floats) -> Floats:
        turns = np.floor(end / period)
        return turns * width + np.minimum(end - turns * period, width)

    return (area(x + foot / 2) - area(x - foot / 2)) / foot


def band(x: Floats, low: Number, high: Number, foot: Floats) -> Floats:
    """How much of a footprint lies between `low` and `high`."""
    foot = np.maximum(foot, 1e-4)
    return np.clip((np.minimum(x + foot / 2, high) - np.maximum(x - foot / 2, low)) / foot, 0, 1)


def noise(x: Floats, y: Floats, seed: int) -> Floats:
    """Smooth noise in [0, 1] with features one unit large: hashed lattice values, joined by smooth steps."""
    x0, y0 = np.floor(x), np.floor(y)
    u, v = x - x0, y - y0
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    column, row = x0.astype(np.int64), y0.astype(np.int64)
    top = _hash(column, row, seed) * (1 - u) + _hash(column + 1, row, seed) * u
    bottom = _hash(column, row + 1, seed) * (1 - u) + _hash(column + 1, row + 1, seed) * u
    return top * (1 - v) + bottom * v


def rough(x: Floats, y: Floats, foot: Floats, seed: int, octaves: int = 4) -> Floats:
    """Noise of many sizes around zero, about -0.5 to 0.5; sizes below a pixel's footprint are faded out."""
    total = np.zeros(np.broadcast(x, y).shape, np.float32)
    for octave in range(octaves):
        scale = 2**octave
        fade = np.clip(1.5 - 2 * foot * scale, 0, 1)
        total += (noise(x * scale, y * scale, seed + octave) - 0.5) * fade * 0.55**octave
    return total


def chance(x: Floats, y: Floats, seed: int) -> Floats:
    """One number in [0, 1) for each cell of the unit lattice."""
    return _hash(np.floor(x).astype(np.int64), np.floor(y).astype(np.int64), seed)


def _hash(column: NDArray[np.int64], row: NDArray[np.int64], seed: int) -> Floats:
    mixed = (column * 0x9E3779B1 + row * 0x85EBCA77 + seed * 0xC2B2AE3D).astype(np.uint32)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    mixed ^= mixed >> np.uint32(12)
    mixed *= np.uint32(0x297A2D39)
    mixed ^= mixed >> np.uint32(15)
    return (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def mixed(base: Floats, other: Floats, share: Floats) -> Floats:
    """Colours [n, 3] on the way from one to the other; `share` [n]."""
    return base + (other - base) * share[..., None]


def flat(colour: Floats) -> Shader:
    """A shader of one colour."""
    return lambda hits: (np.broadcast_to(colour, (*hits.s.shape, 3)), np.ones(hits.s.shape, bool))
