"""Objects of a street: cars, people, cyclists, trees, lamps, signs, fences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semcom.images.streets.canvas import Canvas, Floats, Hits, Number, Shader, band, chance, noise, rough, stripes

_RUBBER = np.array([0.015, 0.015, 0.016])
_GLASS = np.array([0.04, 0.05, 0.06])


@dataclass(frozen=True)
class Limb:
    """A line with round ends from (s, t) to (end_s, end_t), or a ring.

    Args:
        s, t, end_s, end_t: end points, meters.
        width: thickness, meters.
        color: color of the lit side, linear RGB.
        ring: radius of a ring around (s, t), meters; 0 is a straight line.
    """

    s: Number
    t: Number
    end_s: Number
    end_t: Number
    width: Number
    color: Sequence[Number] | Floats
    ring: float = 0.0


def figure(limbs: Sequence[Limb], middle: float) -> Shader:
    """Shader of limbs, later ones in front; their s is relative to `middle`."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        s, t = hits.s - middle, hits.t
        color, mask = np.zeros((len(s), 3)), np.zeros(len(s), bool)
        for limb in limbs:
            ds, dt = limb.end_s - limb.s, limb.end_t - limb.t
            along = np.clip(((s - limb.s) * ds + (t - limb.t) * dt) / max(ds * ds + dt * dt, 1e-6), 0, 1)
            off_s, off_t = s - limb.s - along * ds, t - limb.t - along * dt
            distance = np.abs(np.hypot(off_s, off_t) - limb.ring)
            inside = distance < limb.width / 2
            round_off = 1.1 - 0.5 * (off_s / limb.width + 0.5) if not limb.ring else np.ones(len(s))
            color[inside] = (np.array(limb.color) * round_off[:, None])[inside]
            mask |= inside
        return color, mask

    return shader


def person(height: float, skin: Floats, top: Floats, legs: Floats, stride: Number) -> list[Limb]:
    """Limbs of a walking person; `stride` is the distance between the feet, meters."""
    hip, shoulder = 0.5 * height, 0.8 * height
    shoe = 0.4 * legs
    return [
        Limb(-0.06, hip, -0.07 - stride / 2, 0.1, 0.15, legs),
        Limb(-0.07 - stride / 2, 0.06, -0.03 - stride / 2, 0.05, 0.1, shoe),
        Limb(0.06, hip, 0.07 + stride / 2, 0.1, 0.15, legs * 0.8),
        Limb(0.07 + stride / 2, 0.06, 0.11 + stride / 2, 0.05, 0.1, shoe),
        Limb(-0.19, shoulder - 0.02, -0.23 - stride / 4, hip, 0.1, top * 0.8),
        Limb(-0.23 - stride / 4, hip, -0.23 - stride / 4, hip - 0.03, 0.09, skin),
        Limb(0.19, shoulder - 0.02, 0.23 + stride / 4, hip, 0.1, top * 0.7),
        Limb(0, hip + 0.05, 0, shoulder - 0.1, 0.36, top),
        Limb(-0.1, shoulder - 0.04, 0.1, shoulder - 0.04, 0.18, top),
        Limb(0, shoulder, 0, shoulder + 0.08, 0.11, skin * 0.8),
        Limb(0, height - 0.14, 0, height - 0.1, 0.21, skin),
        Limb(0, height - 0.07, 0.01, height - 0.06, 0.19, skin * 0.2),
    ]


def cyclist(skin: Floats, top: Floats, legs: Floats, aside: bool) -> list[Limb]:
    """Limbs of a cyclist, seen from behind or (`aside`) from the side."""
    helmet = np.array([0.5, 0.5, 0.52])
    if not aside:
        return [
            Limb(0, 0.06, 0, 0.66, 0.08, _RUBBER * 2),
            Limb(-0.26, 1.02, 0.26, 1.02, 0.05, _RUBBER * 3),
            Limb(-0.1, 0.95, -0.13, 0.35, 0.15, legs),
            Limb(0.1, 0.95, 0.13, 0.55, 0.15, legs * 0.8),
            Limb(-0.2, 1.42, -0.27, 1.05, 0.1, top * 0.8),
            Limb(0.2, 1.42, 0.27, 1.05, 0.1, top * 0.7),
            Limb(0, 0.98, 0, 1.38, 0.38, top),
            Limb(0, 1.62, 0, 1.66, 0.2, skin),
            Limb(0, 1.69, 0, 1.71, 0.22, helmet),
        ]
    frame = np.array([0.4, 0.05, 0.05])
    return [
        Limb(-0.52, 0.34, -0.52, 0.34, 0.06, _RUBBER * 2, ring=0.31),
        Limb(0.52, 0.34, 0.52, 0.34, 0.06, _RUBBER * 2, ring=0.31),
        Limb(-0.52, 0.34, 0.0, 0.32, 0.05, frame),
        Limb(0.0, 0.32, 0.4, 0.8, 0.06, frame),
        Limb(-0.18, 0.85, 0.0, 0.32, 0.05, frame),
        Limb(-0.18, 0.8, 0.4, 0.82, 0.05, frame),
        Limb(0.52, 0.34, 0.4, 1.0, 0.05, frame),
        Limb(-0.18, 0.95, 0.12, 0.68, 0.15, legs),
        Limb(0.12, 0.68, 0.02, 0.28, 0.13, legs),
        Limb(-0.16, 0.98, 0.14, 1.38, 0.26, top),
        Limb(0.16, 1.36, 0.42, 1.03, 0.09, top * 0.8),
        Limb(0.24, 1.58, 0.24, 1.61, 0.2, skin),
        Limb(0.23, 1.66, 0.22, 1.67, 0.21, helmet),
    ]


def lamp(height: float, arm: float, tint: Floats, glow: Number) -> list[Limb]:
    """Limbs of a street lamp with an arm over the road."""
    return [
        Limb(0, 0, 0, height, 0.13, tint),
        Limb(0, 0, 0, 1.1, 0.2, tint),
        Limb(0, height, arm, height + 0.25, 0.09, tint),
        Limb(arm, height + 0.22, arm * 1.25, height + 0.22, 0.16, np.array([0.5, 0.5, 0.45]) + glow),
    ]


def crown(
    middle: float, across: float, low: float, top: float, pointed: bool, leaf: Floats, sun: float, seed: int
) -> Shader:
    """Shader of a tree crown from height `low` to `top`, `across` meters wide; `sun` is the bright side."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        s, t = (hits.s - middle) / (across / 2), (hits.t - low) / (top - low)
        narrow = np.clip(1.08 - t, 0.02, None) if pointed else np.sqrt(np.clip(1 - (2 * t - 1) ** 2, 0, 1)) + 0.05
        outline = np.abs(s) / narrow - 1
        lumps = rough(hits.s * 0.9, hits.t * 0.9, hits.footprint_t, seed, 4)
        mask = (outline < 0.75 * lumps - 0.08) & (t > 0) & (t < 1)
        tufts = rough(hits.s * 1.6, hits.t * 1.6, hits.footprint_t * 1.6, seed + 30, 4)
        speckle = rough(hits.s * 7, hits.t * 7, hits.footprint_t * 5, seed + 60, 2)
        light = 0.5 + 0.5 * t + 0.3 * sun * np.clip(s, -1, 1) + 1.6 * tufts + 1.3 * speckle + 0.5 * lumps
        return leaf * np.clip(light, 0.1, 2.2)[:, None], mask

    return shader


def hedge(leaf: Floats, height: float, seed: int) -> Shader:
    """Shader of a hedge with an uneven top."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        tufts = rough(hits.s * 3, hits.t * 3, hits.footprint_s * 3, seed, 4)
        edge = height * (0.86 + 0.3 * (noise(hits.s * 1.2, hits.s * 0, seed) - 0.3))
        return leaf * np.clip(0.5 + 0.5 * hits.t / height + 1.2 * tufts, 0.15, 2)[:, None], hits.t < edge

    return shader


def boards(tint: Floats, height: float, seed: int) -> Shader:
    """Shader of a fence of upright boards."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        gaps = stripes(hits.s, 0.18, 0.03, hits.footprint_s)
        posts = stripes(hits.s, 2.4, 0.14, hits.footprint_s)
        one = chance(hits.s / 0.18, hits.s * 0, seed) - 0.5
        grain = rough(hits.s * 8, hits.t * 1.5, hits.footprint_s * 8, seed)
        shade = 1 + 0.4 * one * np.clip(1 - 4 * hits.footprint_s, 0, 1) + 0.3 * grain - 0.5 * gaps + 0.15 * posts
        rail = band(hits.t, height - 0.1, height, hits.footprint_t)
        return tint * (shade + 0.3 * rail)[:, None], np.ones(len(hits.s), bool)

    return shader


def sign(kind: int, size: float) -> Shader:
    """Shader of a sign, `size` meters wide; kinds: 0 limit, 1 warning, 2 direction, 3 traffic light."""
    red, white, blue = np.array([0.55, 0.02, 0.03]), np.array([0.7, 0.7, 0.68]), np.array([0.02, 0.1, 0.42])

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        s, t = hits.s / size * 2 - 1, hits.t / size * 2 - 1
        shape = (len(s), 3)
        if kind == 0:
            radius = np.hypot(s, t)
            digits = (np.abs(t) < 0.3) & (np.abs(np.abs(s) - 0.22) < 0.12)
            color = np.where((radius < 0.72)[:, None], np.where(digits[:, None], 0.03, white), red)
            return color, radius < 1
        if kind == 1:
            height = (t + 1) / 2
            inner = (np.abs(s) < 0.72 - height) & (height > 0.16)
            mark = (np.abs(s) < 0.07) & (height > 0.22) & (height < 0.55)
            color = np.where(inner[:, None], np.where(mark[:, None], 0.03, white), red)
            return color, np.abs(s) < 1 - height
        if kind == 2:
            edge = np.maximum(np.abs(s), np.abs(t)) > 0.88
            arrow = ((np.abs(s) < 0.12) & (t < 0.3) & (t > -0.6)) | ((t > 0.1) & (np.abs(s) < 0.65 - t) & (t < 0.65))
            return np.where((edge | arrow)[:, None], white, np.broadcast_to(blue, shape)), np.ones(len(s), bool)
        color = np.broadcast_to(np.array([0.02, 0.02, 0.02]), shape).copy()
        lamps = ((1.9, (0.9, 0.03, 0.02)), (1.25, (0.05, 0.035, 0.01)), (0.6, (0.01, 0.05, 0.03)))
        for at, glow in lamps:
            color[np.hypot(s, (t + 1) - at * 1.0) < 0.42] = glow
        return color, np.ones(len(s), bool)

    return shader


# --- cars ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Car:
    """Position and appearance of a car.

    Args:
        x, z: middle of the nearest end, meters.
        heading: angle between its axis and z, radians.
        length, width, height: size, meters.
        paint: color, linear RGB.
        towards: whether it drives towards the camera.
        lamps: brightness of its lamps, 0 to 1.
    """

    x: float
    z: float
    heading: float
    length: float
    width: float
    height: float
    paint: Floats
    towards: bool
    lamps: Number


def render_car(canvas: Canvas, car: Car, label: int) -> None:
    """Render sides, ends, windows and roof of a car."""
    axis = np.array([np.sin(car.heading), 0, np.cos(car.heading)])
    across = np.array([np.cos(car.heading), 0, -np.sin(car.heading)])
    near = np.array([car.x, 0, car.z]) - across * car.width / 2
    waist, tall, van = 0.62 * car.height, car.height, car.height > 1.9
    bonnet = 0.08 if van else (0.95 if car.towards else 0.12)  # length of the visible end
    rake = 0.1 if van else (0.75 if car.towards else 0.5)
    roof_end = car.length - (0.2 if van else (0.5 if car.towards else 1.5))

    def piece(origin: Floats, along: Floats, up: Floats, shader: Shader) -> None:
        canvas.plane(tuple(origin), tuple(along), tuple(up), shader, label)

    up = np.array([0.0, 1.0, 0.0])
    for side in (0.0, 1.0):
        shader = _side(car, waist, bonnet, rake, roof_end)
        piece(near + across * car.width * side, axis * car.length, up * tall, shader)
    piece(near, across * car.width, up * waist, _end(car, waist))
    deck = near + up * waist
    if bonnet > 0.1:
        piece(deck, across * car.width, axis * bonnet + up * 0.02, _panel(car, 1.0))
    inset = across * 0.06
    window = deck + axis * bonnet
    slope = axis * rake + up * (tall - waist)
    piece(window + inset, across * (car.width - 0.12), slope, _screen(car, float(np.linalg.norm(slope))))
    top = near + axis * (bonnet + rake) + up * tall + 2 * inset
    piece(top, across * (car.width - 0.24), axis * max(0.4, roof_end - bonnet - rake), _panel(car, 1.05))


def _panel(car: Car, gain: float) -> Shader:
    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        gloss = 0.1 * band(hits.s, car.width * 0.2, car.width * 0.45, hits.footprint_s)
        return car.paint * gain + gloss[:, None], np.ones(len(hits.s), bool)

    return shader


def _side(car: Car, waist: float, bonnet: float, rake: float, roof_end: float) -> Shader:
    far_rake = min(0.8, car.length - roof_end)

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        s, t = hits.s, hits.t
        rise = np.clip((t - waist) / (car.height - waist), 0, 1)
        start, stop = bonnet + rake * rise, roof_end + far_rake * (1 - rise)
        cabin = (t >= waist) & (s > start) & (s < stop)
        body = (t > 0.24) & (t < waist - 0.05 * np.cos(np.pi * s / car.length) ** 2)
        color = car.paint * (0.75 + 0.35 * np.clip((t - 0.3) / waist, 0, 1))[:, None]
        pillar = np.abs(s - (start + stop) / 2) < 0.06
        glass = cabin & (s > start + 0.14) & (s < stop - 0.14) & (t < car.height - 0.09) & (t > waist + 0.02) & ~pillar
        color = np.where(glass[:, None], _GLASS + 0.1 * rise[:, None], color)
        line = band(t, waist * 0.72, waist * 0.72 + 0.03, hits.footprint_t) + (np.abs(s - car.length * 0.5) < 0.015)
        color = color * (1 - 0.35 * np.clip(line, 0, 1) * (t < waist))[:, None]
        wheels = np.zeros(len(s), bool)
        for at in (0.17 * car.length, 0.8 * car.length):
            radius = np.hypot(s - at, t - 0.31)
            arch = (radius < 0.39) & (t < 0.62)
            color = np.where(arch[:, None], _RUBBER * 0.6, color)
            color = np.where((radius < 0.31)[:, None], _RUBBER * 1.6, color)
            color = np.where((radius < 0.19)[:, None], np.array([0.26, 0.26, 0.27]), color)
            wheels |= radius < 0.31
        return color, body | cabin | wheels

    return shader


def _end(car: Car, waist: float) -> Shader:
    lamp = np.array([1.0, 0.95, 0.8]) if car.towards else np.array([0.5, 0.015, 0.015])

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        s, t = hits.s / car.width * 2 - 1, hits.t
        wide = np.abs(s)
        color = car.paint * (0.7 + 0.35 * t / waist)[:, None]
        color = np.where((t < 0.45)[:, None], car.paint * 0.35 + 0.01, color)
        lights = (wide > 0.62) & (wide < 0.95) & (t > waist * 0.66) & (t < waist * 0.9)
        color = np.where(lights[:, None], lamp * (0.45 + 5.0 * car.lamps), color)
        plate = (wide < 0.28) & (t > 0.47) & (t < 0.58)
        plate_color = np.array([0.6, 0.6, 0.58]) if car.towards else np.array([0.55, 0.45, 0.05])
        color = np.where(plate[:, None], plate_color, color)
        if car.towards:
            grille = (wide < 0.55) & (t > 0.6) & (t < waist * 0.85)
            color = np.where(grille[:, None], 0.03, color)
        under = t < 0.22
        color = np.where(under[:, None], _RUBBER, color)
        return color, ~under | ((wide > 0.68) & (wide < 0.95))

    return shader


def _screen(car: Car, length: float) -> Shader:
    width = car.width - 0.12

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        s, rise = np.abs(hits.s / width * 2 - 1), hits.t / length
        narrow = 1 - 0.14 * rise
        glass = (s < narrow - 0.1) & (rise > 0.08) & (rise < 0.9)
        shine = 0.04 + 0.16 * np.clip(rise - 0.4 + 0.3 * hits.s / width, 0, 1)
        heads = (np.abs(s - 0.42) < 0.14) & (rise < 0.5) & (rise > 0.1)
        tone = np.where(heads, 0.02, shine)
        color = np.where(glass[:, None], tone[:, None] * np.array([0.9, 1.0, 1.1]), car.paint)
        return color, s < narrow

    return shader
