"""Renderer of the streets: a pinhole camera, a depth buffer and textured planes.

World axes in meters: x right, y up, z forward; the camera is at (0, eye, 0) and looks along z. Surfaces are parts of
planes, rendered by ray casting, so that color, label and depth of a pixel come from the same surface.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Number = float | int
Point = tuple[Number, Number, Number]
_NEAR = 0.6  # meters


@dataclass(frozen=True)
class Hits:
    """Intersections of rays with a plane; arrays of equal length.

    Args:
        s, t: coordinates along the axes of the plane, meters.
        footprint_s, footprint_t: extent of a pixel along them, meters.
        z: depth, meters.
    """

    s: Floats
    t: Floats
    footprint_s: Floats
    footprint_t: Floats
    z: Floats


# A shader maps hits to colors [n, 3], linear RGB in [0, 1], and to a mask [n] of the hits that belong to the object.
Shader = Callable[[Hits], tuple[Floats, NDArray[np.bool_]]]


@dataclass(frozen=True)
class Light:
    """Light of a scene.

    Args:
        sun: unit vector towards the sun.
        direct: color of direct sunlight; zero under a covered sky.
        ambient: color of the light from the sky.
    """

    sun: Floats
    direct: Floats
    ambient: Floats

    def on(self, normal: Floats) -> Floats:
        """Diffuse illumination of a surface with this unit normal."""
        return self.ambient * (0.8 + 0.2 * normal[1]) + self.direct * max(0.0, float(normal @ self.sun))


class Canvas:
    """Image, labels and depth of one view.

    Args:
        height, width: size in pixels.
        horizon: row of the horizon, relative to the height.
        center: column of the vanishing point, relative to the width.
        eye: height of the camera, meters.
        light: light of the scene.
    """

    def __init__(self, height: int, width: int, horizon: float, center: float, eye: float, light: Light) -> None:
        self.eye, self.light = eye, light
        self.focal = 0.85 * width
        self.right = ((np.arange(width) + 0.5 - center * width) / self.focal).astype(np.float32)
        self.up = ((horizon * height - np.arange(height) - 0.5) / self.focal).astype(np.float32)
        self.color = np.zeros((height, width, 3), np.float32)
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
        """Render the rectangle with a corner and two edges where no surface is nearer."""
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
        lean = abs(normal[1])  # t runs along the view on level planes, s on upright ones
        footprint_s, footprint_t = pixel * (slant * (1 - lean) + lean), pixel * (slant * lean + 1 - lean)
        color, mask = shader(Hits(s, t, footprint_s, footprint_t, z))
        if lit:
            color = color * self.light.on(normal)
        rows, columns = rows[mask] + window[0].start, columns[mask] + window[1].start
        self.color[rows, columns] = color[mask]
        self.label[rows, columns] = label
        self.depth[rows, columns] = z[mask]

    def upright(
        self, x: Number, z: Number, width: Number, height: Number, shader: Shader, label: int, lit: bool = True
    ) -> None:
        """Render a flat object that stands on the ground at (x, z) and faces the camera."""
        self.plane((x - width / 2, 0, z), (width, 0, 0), (0, height, 0), shader, label, lit)

    def _window(self, origin: Floats, edge_s: Floats, edge_t: Floats) -> tuple[slice, slice] | None:
        """Rows and columns that may contain the parallelogram; all of them if a corner is behind the camera."""
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


# --- antialiased patterns --------------------------------------------------------------------------------------------


def stripes(x: Floats, period: Number, width: Number, foot: Floats) -> Floats:
    """Share of a footprint of `foot` meters that the stripes [k period, k period + width) cover."""
    foot = np.maximum(foot, 1e-4)

    def area(end: Floats) -> Floats:
        turns = np.floor(end / period)
        return turns * width + np.minimum(end - turns * period, width)

    return (area(x + foot / 2) - area(x - foot / 2)) / foot


def band(x: Floats, low: Number, high: Number, foot: Floats) -> Floats:
    """Share of a footprint of `foot` meters between `low` and `high`."""
    foot = np.maximum(foot, 1e-4)
    return np.clip((np.minimum(x + foot / 2, high) - np.maximum(x - foot / 2, low)) / foot, 0, 1)


def noise(x: Floats, y: Floats, seed: int) -> Floats:
    """Value noise in [0, 1] with features of one unit: hashed lattice values, interpolated smoothly."""
    x0, y0 = np.floor(x), np.floor(y)
    u, v = x - x0, y - y0
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    column, row = x0.astype(np.int64), y0.astype(np.int64)
    top = _hash(column, row, seed) * (1 - u) + _hash(column + 1, row, seed) * u
    bottom = _hash(column, row + 1, seed) * (1 - u) + _hash(column + 1, row + 1, seed) * u
    return top * (1 - v) + bottom * v


def rough(x: Floats, y: Floats, foot: Floats, seed: int, octaves: int = 4) -> Floats:
    """Fractal noise with zero mean, about -0.5 to 0.5; octaves below the footprint of a pixel are faded out."""
    total = np.zeros(np.broadcast(x, y).shape, np.float32)
    for octave in range(octaves):
        scale = 2**octave
        fade = np.clip(1.5 - 2 * foot * scale, 0, 1)
        total += (noise(x * scale, y * scale, seed + octave) - 0.5) * fade * 0.55**octave
    return total


def chance(x: Floats, y: Floats, seed: int) -> Floats:
    """Pseudo-random number in [0, 1) for each cell of the unit lattice."""
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
    """Blend colors [n, 3] with weights `share` [n] of the other color."""
    return base + (other - base) * share[..., None]


def flat(color: Floats) -> Shader:
    """Shader of one color."""
    return lambda hits: (np.broadcast_to(color, (*hits.s.shape, 3)), np.ones(hits.s.shape, bool))
