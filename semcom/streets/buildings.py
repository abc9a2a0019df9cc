"""What houses are made of: walls, windows, shops and roofs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semcom.streets.canvas import Floats, Hits, Shader, band, chance, flat, mixed, noise, rough, stripes

_GLASS = np.array([0.035, 0.045, 0.055])
_LIT = np.array([1.5, 1.05, 0.45])
_SKY = np.array([0.35, 0.42, 0.5])
_WHITE = np.array([0.62, 0.6, 0.56])


@dataclass(frozen=True)
class Style:
    """How a house looks.

    Args:
        wall, frame, trim: colours of wall, window frames, and door, shop sign or awning.
        brick: bricks, else render.
        storey, bay: height of a floor and width of a window's share of the wall, metres.
        window: width and height of a window in metres.
        shop: a shop on the ground floor.
        lit: share of the windows with a lamp on.
        seed: of its textures.
    """

    wall: Floats
    frame: Floats
    trim: Floats
    brick: bool
    storey: float
    bay: float
    window: tuple[float, float]
    shop: bool
    lit: float
    seed: int


def facade(style: Style, height: float) -> Shader:
    """The side of a house with windows, to the eaves at `height`."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        colour = _wall(style, hits)
        colour = _windows(style, hits, colour, height)
        colour = _shop(style, hits, colour) if style.shop else _door(style, hits, colour)
        eaves = band(hits.t, height - 0.3, height, hits.foot_t)
        colour = mixed(colour, style.frame * 0.8, 0.8 * eaves)
        colour = colour * (1 - 0.35 * band(hits.t, height - 0.45, height - 0.3, hits.foot_t))[:, None]
        grime = 0.75 + 0.25 * np.clip(hits.t / 1.5, 0, 1)
        return colour * grime[:, None], np.ones(len(hits.s), bool)

    return shader


def gable(style: Style, width: float, height: float, ridge: float) -> Shader:
    """The end of a house: a wall with few windows under a triangular gable that rises by `ridge`."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        colour = _wall(style, hits)
        window = band(hits.s, width * 0.4, width * 0.4 + 0.9, hits.foot_s)
        window = window * stripes(hits.t - 0.9, style.storey, 1.3, hits.foot_t) * (hits.t < height - 0.3)
        colour = mixed(colour, _GLASS * 1.5, window)
        keep = hits.t < height + ridge * (1 - np.abs(hits.s / width * 2 - 1))
        return colour, keep

    return shader


def roof(tint: Floats, seed: int) -> Shader:
    """Rows of tiles or slates."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        rows = stripes(hits.t, 0.35, 0.06, hits.foot_t)
        shade = 1 + 0.5 * rough(hits.s * 1.3, hits.t * 1.3, hits.foot_t * 1.3, seed) - 0.35 * rows
        shade += 0.25 * (chance(hits.s / 0.4, hits.t / 0.35, seed) - 0.5) * np.clip(1 - 3 * hits.foot_t, 0, 1)
        return tint * shade[:, None], np.ones(len(hits.s), bool)

    return shader


def plain(tint: Floats) -> Shader:
    """A smooth surface: chimneys, the ends of walls."""
    return flat(tint)


def _wall(style: Style, hits: Hits) -> Floats:
    shade = 1 + 0.28 * rough(hits.s * 0.5, hits.t * 0.5, hits.foot_s * 0.5, style.seed)
    if style.brick:
        course = np.floor(hits.t / 0.16)
        offset = hits.s + 0.2 * (course % 2)
        near = np.clip(1.3 - 5 * np.maximum(hits.foot_s, hits.foot_t), 0, 1)
        bricks = chance(offset / 0.4, hits.t / 0.16, style.seed)
        mortar = np.maximum(stripes(hits.t, 0.16, 0.025, hits.foot_t), stripes(offset, 0.4, 0.025, hits.foot_s))
        shade = shade * (1 + 0.45 * (bricks - 0.5) * near)
        return mixed(style.wall * shade[:, None], np.full(3, 0.34), 0.55 * mortar * (0.4 + 0.6 * near))
    streaks = rough(hits.s * 2.5, hits.t * 0.25, hits.foot_s * 2.5, style.seed + 7)
    return style.wall * (shade + 0.12 * streaks)[:, None]


def _windows(style: Style, hits: Hits, colour: Floats, height: float) -> Floats:
    width, tall = style.window
    base = 3.5 if style.shop else 0.0
    t = hits.t - base
    here = (t > 0) & (t < np.floor((height - 0.4 - base) / style.storey) * style.storey)
    sill = (style.storey - tall) * 0.5
    side = (style.bay - width) / 2

    def panes(margin: float) -> Floats:
        across = stripes(hits.s - side + margin, style.bay, width + 2 * margin, hits.foot_s)
        return across * stripes(t - sill + margin, style.storey, tall + 2 * margin, hits.foot_t) * here

    column, floor = np.floor(hits.s / style.bay), np.floor(t / style.storey)
    one = chance(column, floor, style.seed + 1)
    inside = (t - floor * style.storey - sill) / tall
    sky = np.clip(0.15 + 0.5 * inside * one + 0.5 * (noise(hits.s * 0.8, t * 0.8, style.seed + 2) - 0.5), 0, 1)
    glass = mixed(np.broadcast_to(_GLASS, colour.shape), _SKY, 0.75 * sky * one)
    curtain = (chance(column, floor, style.seed + 3) > 0.6) & (inside > 0.45)
    glass = mixed(glass, np.array([0.3, 0.28, 0.25]), 0.6 * curtain)
    glass = mixed(glass, _LIT * (1 + 7 * style.lit) * (0.5 + 0.5 * one[:, None]), 0.9 * (one < style.lit))
    bars = stripes(hits.s - side - width / 2 + 0.04, style.bay, 0.08, hits.foot_s)
    bars = np.maximum(bars, stripes(t - sill - tall / 2 + 0.03, style.storey, 0.06, hits.foot_t))
    colour = mixed(colour, style.frame, panes(0.1))
    colour = mixed(colour, glass, panes(0.0))
    colour = mixed(colour, style.frame, panes(0.0) * bars * 0.8)
    shadow = stripes(hits.s - side + 0.1, style.bay, width + 0.2, hits.foot_s)
    shadow = shadow * stripes(t - sill - tall, style.storey, 0.15, hits.foot_t) * here
    return colour * (1 - 0.3 * shadow)[:, None]


def _shop(style: Style, hits: Hits, colour: Floats) -> Floats:
    low = band(hits.t, 0, 3.4, hits.foot_t)
    colour = mixed(colour, style.trim * 0.6, low)
    show = stripes(hits.s - 0.25, style.bay * 1.6, style.bay * 1.6 - 0.5, hits.foot_s) * band(
        hits.t, 0.45, 2.55, hits.foot_t
    )
    cell = np.floor((hits.s - 0.25) / (style.bay * 1.6))
    goods = noise(hits.s * 2.2, hits.t * 2.2, style.seed + 5)[:, None]
    tint = 0.5 + chance(hits.s * 1.5, hits.t * 1.5, style.seed + 6)[:, None] * np.array([0.9, 0.6, 0.5])
    display = _GLASS + (0.16 + 3 * (chance(cell, cell * 0, style.seed) < 2 * style.lit)[:, None]) * goods * tint
    colour = mixed(colour, display, show)
    colour = mixed(colour, style.trim, band(hits.t, 2.75, 3.35, hits.foot_t))
    letters = (noise(hits.s * 3.5, hits.t * 3.0, style.seed + 8) > 0.55) * (hits.foot_s < 0.25)
    word = band(hits.t, 2.9, 3.2, hits.foot_t) * stripes(hits.s - 1.0, style.bay * 3.2, style.bay * 1.8, hits.foot_s)
    return mixed(colour, _WHITE, 0.85 * word * letters)


def _door(style: Style, hits: Hits, colour: Floats) -> Floats:
    period = style.bay * 3
    at = hits.s - style.bay - 0.2
    frame = stripes(at + 0.12, period, 1.24, hits.foot_s) * band(hits.t, 0, 2.25, hits.foot_t)
    door = stripes(at, period, 1.0, hits.foot_s) * band(hits.t, 0.05, 2.1, hits.foot_t)
    return mixed(mixed(colour, style.frame, frame), style.trim, door)
