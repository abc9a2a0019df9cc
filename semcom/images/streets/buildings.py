"""Shaders of houses: walls, windows, shops and roofs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semcom.images.streets.canvas import Floats, Hits, Shader, band, chance, flat, mixed, noise, rough, stripes

_GLASS = np.array([0.035, 0.045, 0.055])
_LIT = np.array([1.5, 1.05, 0.45])
_SKY = np.array([0.35, 0.42, 0.5])
_WHITE = np.array([0.62, 0.6, 0.56])


@dataclass(frozen=True)
class Style:
    """Appearance of a house.

    Args:
        wall, frame, trim: colors of the wall, of window frames, and of door or shop.
        brick: whether the wall is brick; else plaster.
        storey, bay: height of a floor and distance between windows, meters.
        window: width and height of a window, meters.
        shop: whether the ground floor is a shop.
        lit: share of lit windows, 0 to 1.
        seed: seed of the textures.
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
    """Shader of the front of a house with windows, up to the eaves at `height` meters."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        color = _wall(style, hits)
        color = _windows(style, hits, color, height)
        color = _shop(style, hits, color) if style.shop else _door(style, hits, color)
        eaves = band(hits.t, height - 0.3, height, hits.footprint_t)
        color = mixed(color, style.frame * 0.8, 0.8 * eaves)
        color = color * (1 - 0.35 * band(hits.t, height - 0.45, height - 0.3, hits.footprint_t))[:, None]
        grime = 0.75 + 0.25 * np.clip(hits.t / 1.5, 0, 1)
        return color * grime[:, None], np.ones(len(hits.s), bool)

    return shader


def gable(style: Style, width: float, height: float, ridge: float) -> Shader:
    """Shader of the gable end of a house; the ridge is `ridge` meters above the eaves."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        color = _wall(style, hits)
        window = band(hits.s, width * 0.4, width * 0.4 + 0.9, hits.footprint_s)
        window = window * stripes(hits.t - 0.9, style.storey, 1.3, hits.footprint_t) * (hits.t < height - 0.3)
        color = mixed(color, _GLASS * 1.5, window)
        mask = hits.t < height + ridge * (1 - np.abs(hits.s / width * 2 - 1))
        return color, mask

    return shader


def roof(tint: Floats, seed: int) -> Shader:
    """Shader of rows of tiles."""

    def shader(hits: Hits) -> tuple[Floats, np.ndarray]:
        rows = stripes(hits.t, 0.35, 0.06, hits.footprint_t)
        shade = 1 + 0.5 * rough(hits.s * 1.3, hits.t * 1.3, hits.footprint_t * 1.3, seed) - 0.35 * rows
        shade += 0.25 * (chance(hits.s / 0.4, hits.t / 0.35, seed) - 0.5) * np.clip(1 - 3 * hits.footprint_t, 0, 1)
        return tint * shade[:, None], np.ones(len(hits.s), bool)

    return shader


def plain(tint: Floats) -> Shader:
    """Shader of a smooth surface."""
    return flat(tint)


def _wall(style: Style, hits: Hits) -> Floats:
    shade = 1 + 0.28 * rough(hits.s * 0.5, hits.t * 0.5, hits.footprint_s * 0.5, style.seed)
    if style.brick:
        course = np.floor(hits.t / 0.16)
        offset = hits.s + 0.2 * (course % 2)
        near = np.clip(1.3 - 5 * np.maximum(hits.footprint_s, hits.footprint_t), 0, 1)
        bricks = chance(offset / 0.4, hits.t / 0.16, style.seed)
        mortar = np.maximum(
            stripes(hits.t, 0.16, 0.025, hits.footprint_t), stripes(offset, 0.4, 0.025, hits.footprint_s)
        )
        shade = shade * (1 + 0.45 * (bricks - 0.5) * near)
        return mixed(style.wall * shade[:, None], np.full(3, 0.34), 0.55 * mortar * (0.4 + 0.6 * near))
    streaks = rough(hits.s * 2.5, hits.t * 0.25, hits.footprint_s * 2.5, style.seed + 7)
    return style.wall * (shade + 0.12 * streaks)[:, None]


def _windows(style: Style, hits: Hits, color: Floats, height: float) -> Floats:
    width, tall = style.window
    base = 3.5 if style.shop else 0.0
    t = hits.t - base
    here = (t > 0) & (t < np.floor((height - 0.4 - base) / style.storey) * style.storey)
    sill = (style.storey - tall) * 0.5
    side = (style.bay - width) / 2

    def panes(margin: float) -> Floats:
        across = stripes(hits.s - side + margin, style.bay, width + 2 * margin, hits.footprint_s)
        return across * stripes(t - sill + margin, style.storey, tall + 2 * margin, hits.footprint_t) * here

    column, floor = np.floor(hits.s / style.bay), np.floor(t / style.storey)
    one = chance(column, floor, style.seed + 1)
    inside = (t - floor * style.storey - sill) / tall
    sky = np.clip(0.15 + 0.5 * inside * one + 0.5 * (noise(hits.s * 0.8, t * 0.8, style.seed + 2) - 0.5), 0, 1)
    glass = mixed(np.broadcast_to(_GLASS, color.shape), _SKY, 0.75 * sky * one)
    curtain = (chance(column, floor, style.seed + 3) > 0.6) & (inside > 0.45)
    glass = mixed(glass, np.array([0.3, 0.28, 0.25]), 0.6 * curtain)
    glass = mixed(glass, _LIT * (1 + 7 * style.lit) * (0.5 + 0.5 * one[:, None]), 0.9 * (one < style.lit))
    bars = stripes(hits.s - side - width / 2 + 0.04, style.bay, 0.08, hits.footprint_s)
    bars = np.maximum(bars, stripes(t - sill - tall / 2 + 0.03, style.storey, 0.06, hits.footprint_t))
    color = mixed(color, style.frame, panes(0.1))
    color = mixed(color, glass, panes(0.0))
    color = mixed(color, style.frame, panes(0.0) * bars * 0.8)
    shadow = stripes(hits.s - side + 0.1, style.bay, width + 0.2, hits.footprint_s)
    shadow = shadow * stripes(t - sill - tall, style.storey, 0.15, hits.footprint_t) * here
    return color * (1 - 0.3 * shadow)[:, None]


def _shop(style: Style, hits: Hits, color: Floats) -> Floats:
    low = band(hits.t, 0, 3.4, hits.footprint_t)
    color = mixed(color, style.trim * 0.6, low)
    show = stripes(hits.s - 0.25, style.bay * 1.6, style.bay * 1.6 - 0.5, hits.footprint_s) * band(
        hits.t, 0.45, 2.55, hits.footprint_t
    )
    cell = np.floor((hits.s - 0.25) / (style.bay * 1.6))
    goods = noise(hits.s * 2.2, hits.t * 2.2, style.seed + 5)[:, None]
    tint = 0.5 + chance(hits.s * 1.5, hits.t * 1.5, style.seed + 6)[:, None] * np.array([0.9, 0.6, 0.5])
    display = _GLASS + (0.16 + 3 * (chance(cell, cell * 0, style.seed) < 2 * style.lit)[:, None]) * goods * tint
    color = mixed(color, display, show)
    color = mixed(color, style.trim, band(hits.t, 2.75, 3.35, hits.footprint_t))
    letters = (noise(hits.s * 3.5, hits.t * 3.0, style.seed + 8) > 0.55) * (hits.footprint_s < 0.25)
    word = band(hits.t, 2.9, 3.2, hits.footprint_t) * stripes(
        hits.s - 1.0, style.bay * 3.2, style.bay * 1.8, hits.footprint_s
    )
    return mixed(color, _WHITE, 0.85 * word * letters)


def _door(style: Style, hits: Hits, color: Floats) -> Floats:
    period = style.bay * 3
    at = hits.s - style.bay - 0.2
    frame = stripes(at + 0.12, period, 1.24, hits.footprint_s) * band(hits.t, 0, 2.25, hits.footprint_t)
    door = stripes(at, period, 1.0, hits.footprint_s) * band(hits.t, 0.05, 2.1, hits.footprint_t)
    return mixed(mixed(color, style.frame, frame), style.trim, door)
