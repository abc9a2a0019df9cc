"""Content of a generated street: buildings, plants, vehicles and people at random positions."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from semcom.images.street_classes import StreetClass
from semcom.images.streets import ground, objects
from semcom.images.streets.buildings import Style, facade, gable, plain, roof
from semcom.images.streets.canvas import Canvas, Floats, Hits, Number, chance, rough
from semcom.images.streets.ground import Shade, Street
from semcom.images.streets.objects import Car
from semcom.images.streets.weather import RandomNumbers, Weather

_FAR = 150.0  # meters; beyond it there is only a backdrop of roofs or trees

_WALLS = ((0.3, 0.12, 0.07), (0.36, 0.2, 0.11), (0.55, 0.46, 0.32), (0.6, 0.57, 0.5), (0.42, 0.4, 0.36),
          (0.24, 0.1, 0.07), (0.5, 0.36, 0.22), (0.35, 0.42, 0.45))  # fmt: skip
_TRIMS = (
    (0.03, 0.09, 0.06),
    (0.25, 0.02, 0.02),
    (0.02, 0.05, 0.2),
    (0.06, 0.06, 0.06),
    (0.35, 0.2, 0.02),
    (0.1, 0.02, 0.12),
)
_PAINTS = ((0.5, 0.5, 0.5), (0.28, 0.29, 0.3), (0.03, 0.03, 0.035), (0.3, 0.015, 0.015), (0.02, 0.06, 0.22),
           (0.6, 0.6, 0.58), (0.08, 0.1, 0.11), (0.03, 0.14, 0.09), (0.4, 0.32, 0.14))  # fmt: skip
_CLOTHES = ((0.35, 0.02, 0.03), (0.02, 0.05, 0.2), (0.5, 0.5, 0.48), (0.03, 0.03, 0.03), (0.4, 0.3, 0.03),
            (0.05, 0.2, 0.12), (0.25, 0.1, 0.3), (0.2, 0.18, 0.15))  # fmt: skip
LEAVES = ((0.06, 0.13, 0.025), (0.09, 0.16, 0.03), (0.045, 0.1, 0.035), (0.13, 0.15, 0.03))
AUTUMN = ((0.3, 0.13, 0.02), (0.26, 0.07, 0.02), (0.3, 0.2, 0.03))
_SKINS = ((0.5, 0.32, 0.22), (0.4, 0.23, 0.14), (0.15, 0.08, 0.05))


@dataclass
class Scene:
    """A street under construction: canvas, random numbers, and what has been added so far."""

    canvas: Canvas
    random: RandomNumbers
    weather: Weather
    street: Street
    kind: str
    leaves: Floats
    shades: list[Shade] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    # Rows of houses that cast shadows: distance of the front from the middle of the road, z, end and height, meters.
    roofs: list[tuple[float, float, float, float]] = field(default_factory=list)

    def count(self, what: str, z: Number = 0) -> None:
        """Count an object for the caption, if it is nearer than 45 m."""
        if z < 45:
            self.counts[what] = self.counts.get(what, 0) + 1

    def at(self, away: float, z: float) -> float:
        """x of a point `away` meters to the right of the middle of the road at depth z."""
        return away + self.street.bend * z * z

    def cast(self, x: float, z: float, height: float, radius: float, end_radius: float) -> None:
        """Add the shadow of an object at (x, z): a contact shadow, and in sunshine a cast shadow."""
        self.shades.append(Shade(x, z, x, z, radius * 1.6, radius * 1.6, 0.35))
        light = self.weather.light
        if light.direct.max() > 0:
            reach = -height / light.sun[1]
            end_x, end_z = x + reach * light.sun[0], z + reach * light.sun[2]
            self.shades.append(Shade(x, z, end_x, end_z, radius, end_radius, self.sunlit))

    @property
    def sunlit(self) -> float:
        """Share of direct sunlight in the light on level ground; a shadow removes it."""
        direct = self.weather.light.direct.mean() * self.weather.light.sun[1]
        return float(direct / (direct + self.weather.light.ambient.mean()))


def furnish(scene: Scene) -> None:
    """Add all objects, then the ground with their shadows."""
    for side in (-1, 1):
        _plots(scene, side)
        _kerbside(scene, side)
        _walkers(scene, side)
    _traffic(scene)
    _backdrop(scene)
    _ground(scene)


def _plots(scene: Scene, side: int) -> None:
    """Add houses, gardens, trees and gaps along one side of the street."""
    random = scene.random
    z = random.between(-4, 6)
    while z < _FAR:
        length = random.between(7, 16) if scene.kind == "high street" else random.between(8, 14)
        length *= 1 if z < 70 else 1.6
        built = {"high street": 0.94, "residential street": 0.85, "park road": 0.12}[scene.kind]
        if random.chance(built):
            _house(scene, side, z, length)
        else:
            _trees(scene, side, z, length)
        gap = 0.0 if scene.kind == "high street" and random.chance(0.85) else random.between(1, 5)
        z += length + gap


def _house(scene: Scene, side: int, z: float, length: float) -> None:
    random, canvas, street = scene.random, scene.canvas, scene.street
    town = scene.kind == "high street"
    setback = 0.0 if town else random.between(3.0, 5.5)
    style = Style(
        wall=random.one_of(_WALLS) * random.between(0.8, 1.15),
        frame=np.full(3, 0.6) if random.chance(0.75) else np.full(3, 0.08),
        trim=random.one_of(_TRIMS),
        brick=random.chance(0.6),
        storey=random.between(2.8, 3.4),
        bay=random.between(2.0, 3.0),
        window=(random.between(0.9, 1.3), random.between(1.3, 1.8)),
        shop=town and random.chance(0.75),
        lit=0.45 * scene.weather.lamps,
        seed=random.seed(),
    )
    floors = int(random.between(2, 5)) if town else 2
    height = floors * style.storey + (3.5 if style.shop else 0.4) + 0.5
    depth, ridge = random.between(8, 11), random.between(2.0, 3.2)
    tint = random.one_of(((0.16, 0.07, 0.05), (0.09, 0.09, 0.1), (0.13, 0.1, 0.08)))
    front, end = street.pavement + setback, z + length
    x, x_end = scene.at(side * front, z), scene.at(side * front, end)
    back = side * depth
    run = (x_end - x, 0.0, length)
    canvas.plane((x, 0, z), run, (0, height, 0), facade(style, height), StreetClass.BUILDING)
    canvas.plane(
        (x, 0, z), (back, 0, 0), (0, height + ridge, 0), gable(style, depth, height, ridge), StreetClass.BUILDING
    )
    canvas.plane(
        (x - side * 0.3, height, z),
        run,
        (back / 2 + side * 0.3, ridge, 0),
        roof(tint, style.seed),
        StreetClass.BUILDING,
    )
    for at in (0.15, 0.8):
        stack = (x + back / 2 - 0.4, height + ridge - 0.6, z + at * length)
        canvas.plane(stack, (0.9, 0, 0), (0, 1.7, 0), plain(style.wall * 0.8), StreetClass.BUILDING)
        canvas.plane(
            (stack[0] if side > 0 else stack[0] + 0.9, *stack[1:]),
            (0, 0, 0.9),
            (0, 1.7, 0),
            plain(style.wall),
            StreetClass.BUILDING,
        )
    scene.roofs.append((side * front, z, end, height))
    if setback:
        _garden(scene, side, z, length, setback)


def _garden(scene: Scene, side: int, z: float, length: float, setback: float) -> None:
    """Add a hedge or fence along the pavement, and sometimes a tree behind it."""
    random, edge = scene.random, scene.street.pavement + 0.1
    x, x_end = scene.at(side * edge, z), scene.at(side * edge, z + length)
    kind = random.between(0, 1)
    if kind < 0.4:
        _fence(scene, x, x_end, z, length, random.between(0.9, 1.6))
    elif kind < 0.8:
        tall = random.between(0.8, 1.7)
        shader = objects.hedge(scene.leaves * random.between(0.8, 1.2), tall, random.seed())
        scene.canvas.plane((x, 0, z), (x_end - x, 0, length), (0, tall, 0), shader, StreetClass.TREE)
        scene.canvas.plane((x, 0, z), (side * 0.8, 0, 0), (0, tall, 0), shader, StreetClass.TREE)
    if random.chance(0.35) and z > 4:
        away = edge + random.between(0.8, max(0.9, setback - 1.5))
        _tree(scene, scene.at(side * away, z + length / 2), z + length / 2, random.between(3, 6))


def _fence(scene: Scene, x: float, x_end: float, z: float, length: float, tall: float) -> None:
    random = scene.random
    tint = random.one_of(((0.2, 0.12, 0.06), (0.3, 0.24, 0.17), (0.12, 0.14, 0.1), (0.5, 0.5, 0.48)))
    shader = objects.boards(tint, tall, random.seed())
    scene.canvas.plane((x, 0, z), (x_end - x, 0, length), (0, tall, 0), shader, StreetClass.FENCE)


def _trees(scene: Scene, side: int, z: float, length: float) -> None:
    random, edge = scene.random, scene.street.pavement
    if scene.kind == "park road" and random.chance(0.45):
        _fence(scene, scene.at(side * (edge + 0.2), z), scene.at(side * (edge + 0.2), z + length), z, length, 1.1)
    for row in range(4 if scene.kind == "park road" else 2):
        for step in range(int(length / 5)):
            at = z + 5 * step + random.between(0, 4)
            away = edge + 2.2 + 4.5 * row + random.between(0, 3)
            if at > 5 and random.chance(0.75):
                _tree(scene, scene.at(side * away, at), at, random.between(5, 10 + 2 * row))


def _tree(scene: Scene, x: float, z: float, height: float) -> None:
    random = scene.random
    pointed = random.chance(0.15)
    across = height * (random.between(0.3, 0.4) if pointed else random.between(0.6, 0.85))
    low = height * random.between(0.06, 0.12) if pointed else height * random.between(0.22, 0.34)
    leaf = (np.array(LEAVES[2]) if pointed else scene.leaves) * random.between(0.75, 1.3)
    sun = float(scene.weather.light.sun[0]) * (1 if scene.weather.light.direct.max() > 0 else 0.2)
    shader = objects.crown(across * 0.6, across, low, height, pointed, leaf, sun, random.seed())
    bark = np.array([0.1, 0.075, 0.055])
    trunk = [
        objects.Limb(0, 0, 0, low * 1.5, 0.05 * height, bark),
        objects.Limb(0, low, -across * 0.2, low * 1.8, 0.025 * height, bark),
        objects.Limb(0, low, across * 0.2, low * 1.9, 0.025 * height, bark),
    ]
    scene.canvas.upright(x, z - 0.05, across * 1.2, height * 1.05, shader, StreetClass.TREE)
    scene.canvas.upright(x, z, across, low * 2.2, objects.figure(trunk, across / 2), StreetClass.TREE)
    scene.cast(x, z, height * 0.7, 0.05 * height, across * 0.45)


def _kerbside(scene: Scene, side: int) -> None:
    """Add lamps, signs, street trees and parked cars along one kerb."""
    random, street = scene.random, scene.street
    inner = street.road + 0.5
    tint = random.one_of(((0.05, 0.06, 0.06), (0.25, 0.26, 0.26), (0.03, 0.07, 0.05)))
    height, every = random.between(5.5, 8), random.between(16, 26)
    for step in range(6):
        z = 5 + random.between(0, 4) + every * step + (0 if side > 0 else every / 2)
        x = scene.at(side * inner, z)
        limbs = objects.lamp(height, -side * random.between(0.9, 1.6), tint, 3.0 * scene.weather.lamps)
        scene.canvas.upright(x, z, 5, height + 0.5, objects.figure(limbs, 2.5), StreetClass.POLE)
        scene.cast(x, z, height, 0.09, 0.09)
    z = random.between(6, 14)
    while z < 55:
        if random.chance(0.65):
            _sign(scene, scene.at(side * (inner + 0.1), z), z)
        z += random.between(8, 18)
    if scene.kind != "park road" and random.chance(0.45):
        for step in range(7):
            z = 9 + 11 * step + random.between(-1.5, 1.5)
            _tree(scene, scene.at(side * (inner + 0.5), z), z, random.between(4, 7))
    if random.chance(0.6) and not street.yellow:
        z = random.between(2, 10)
        while z < 70:
            if random.chance(0.55):
                _car(scene, side * (street.road - 1.05), z, towards=side > 0 and random.chance(0.5), parked=True)
            z += random.between(5.5, 9)


def _sign(scene: Scene, x: float, z: float) -> None:
    random = scene.random
    kind, size, top = int(random.between(0, 4)), random.between(0.62, 0.85), random.between(2.1, 2.7)
    if kind == 3:
        size = 0.42
    post = [objects.Limb(0, 0, 0, top + 0.1, 0.1, np.full(3, 0.28))]
    scene.canvas.upright(x, z, 0.5, top + 0.2, objects.figure(post, 0.25), StreetClass.POLE)
    tall = size * (2.5 if kind == 3 else 1)
    scene.canvas.plane(
        (x - size / 2, top, z - 0.08), (size, 0, 0), (0, tall, 0), objects.sign(kind, size), StreetClass.SIGN
    )
    scene.cast(x, z, top + size, 0.06, size / 2)


def _walkers(scene: Scene, side: int) -> None:
    random, street = scene.random, scene.street
    busy = {"high street": 6.0, "residential street": 2.5, "park road": 2.0}[scene.kind]
    for _ in range(int(random.between(0, busy + 1))):
        z = 6 + 32 * random.between(0, 1) ** 1.3
        away = random.between(street.road + 0.5, street.pavement - 0.35)
        _person(scene, scene.at(side * away, z), z)
    if street.crossing and random.chance(0.35):
        z = street.crossing + random.between(0.5, 2.5)
        _person(scene, scene.at(random.between(-street.road, street.road), z), z)


def _person(scene: Scene, x: float, z: float) -> None:
    random = scene.random
    height = random.between(1.55, 1.88)
    shirt, legs = random.one_of(_CLOTHES), random.one_of(((0.03, 0.04, 0.08), (0.02, 0.02, 0.02), (0.15, 0.13, 0.1)))
    limbs = objects.person(height, random.one_of(_SKINS), shirt, legs, random.between(0.02, 0.4))
    scene.canvas.upright(x, z, 1.1, height + 0.1, objects.figure(limbs, 0.55), StreetClass.PEDESTRIAN)
    scene.cast(x, z, height, 0.2, 0.2)
    scene.count("person", z)


def _traffic(scene: Scene) -> None:
    """Add cars in both lanes and cyclists near the kerb."""
    random, street = scene.random, scene.street
    for side, towards in ((-1, False), (1, True)):
        z = random.between(7, 22)
        while z < 110:
            if random.chance(0.45):
                _car(scene, side * street.road * 0.45, z, towards, parked=False)
            z += random.between(12, 36)
    for _ in range(int(random.between(0, 2.6))):
        z, aside = random.between(6, 26), random.chance(0.25)
        x = scene.at(random.between(-1, 1) if aside else -street.road + random.between(0.5, 1.2), z)
        limbs = objects.cyclist(random.one_of(_SKINS), random.one_of(_CLOTHES), random.one_of(_CLOTHES) * 0.4, aside)
        if aside and random.chance(0.5):
            limbs = [
                objects.Limb(-limb.s, limb.t, -limb.end_s, limb.end_t, limb.width, limb.color, limb.ring)
                for limb in limbs
            ]
        scene.canvas.upright(x, z, 2.2, 1.9, objects.figure(limbs, 1.1), StreetClass.BICYCLIST)
        scene.cast(x, z, 1.5, 0.25, 0.25)
        scene.count("cyclist", z)


def _car(scene: Scene, away: float, z: float, towards: bool, parked: bool) -> None:
    random = scene.random
    van = random.chance(0.12)
    width, length = random.between(1.68, 1.85) + 0.2 * van, random.between(3.8, 4.6) + 0.8 * van
    height = random.between(2.2, 2.6) if van else random.between(1.4, 1.6)
    heading = float(np.arctan(2 * scene.street.bend * z))
    lamps = 0.0 if parked else scene.weather.lamps
    paint = random.one_of(_PAINTS) * random.between(0.8, 1.15)
    x = scene.at(away, z)
    objects.render_car(scene.canvas, Car(x, z, heading, length, width, height, paint, towards, lamps), StreetClass.CAR)
    end = scene.at(away, z + length)
    scene.shades.append(Shade(x, z + 0.4, end, z + length - 0.4, width * 0.52, width * 0.52, 0.75))
    light = scene.weather.light
    if light.direct.max() > 0:
        dx, dz = -light.sun[0] / light.sun[1] * height * 0.7, -light.sun[2] / light.sun[1] * height * 0.7
        middle = (x + end) / 2
        scene.shades.append(Shade(middle, z + 1, middle + dx, z + length - 1 + dz, 1.2, 1.2, scene.sunlit))
    scene.count("car", z)


def _backdrop(scene: Scene) -> None:
    """Add distant roofs or trees at the end of the street."""
    seed, haze = scene.random.seed(), np.array([0.2, 0.22, 0.22])
    wooded = scene.kind == "park road" or scene.random.chance(0.5)

    def shader(hits: Hits, lowest: Number, roofs: bool) -> tuple[Floats, np.ndarray]:
        if roofs:
            top = lowest + 9 * chance(hits.s / 17, 0 * hits.s, seed)
            color = haze * (0.7 + 0.8 * chance(hits.s / 17, 0 * hits.s, seed + 1))[:, None]
        else:
            top = lowest + 7 * (rough(hits.s * 0.1, 0 * hits.s, 0 * hits.s, seed, 5) + 0.4)
            color = scene.leaves * (0.9 + 0.7 * rough(hits.s * 0.4, hits.t * 0.4, 0 * hits.s, seed))[:, None]
        return color, hits.t < top

    where = ((-250.0, 0.0, _FAR + 30), (500.0, 0.0, 0.0), (0.0, 40.0, 0.0))
    scene.canvas.plane(
        *where, partial(shader, lowest=6, roofs=not wooded), StreetClass.TREE if wooded else StreetClass.BUILDING
    )


def _ground(scene: Scene) -> None:
    street, canvas, left = scene.street, scene.canvas, -250.0
    light = scene.weather.light
    in_sun = light.on(np.array([0.0, 1.0, 0.0]))

    def shade(hits: Hits) -> Floats:
        x, z = hits.s + left, hits.z
        share = ground.shaded(x, z, scene.shades)
        if light.direct.max() > 0:
            share = np.minimum(share, 1 - scene.sunlit * _behind_roofs(scene, x, z))
        return in_sun * share[:, None]

    lawn = scene.leaves * np.array([1.1, 1.1, 1.0])
    for label, shader in (
        (StreetClass.TREE, ground.grass(street, left, lawn, shade)),
        (StreetClass.PAVEMENT, ground.pavement(street, left, shade)),
        (StreetClass.ROAD, ground.road(street, left, shade)),
    ):
        canvas.plane((left, 0.0, 0.0), (-2 * left, 0.0, 0.0), (0.0, 0.0, 420.0), shader, label, lit=False)


def _behind_roofs(scene: Scene, x: Floats, z: Floats) -> Floats:
    """1 in the shadow of a row of houses, 0 outside, with a soft edge."""
    sun, dark = scene.weather.light.sun, np.zeros(x.shape)
    if abs(sun[0]) < 0.05:
        return dark
    away = x - scene.street.middle(z)
    for front, start, end, height in scene.roofs:
        if front * sun[0] <= 0:
            continue
        reach = (front - away) / sun[0]  # length of the ray to the sun up to the wall
        at = z + reach * sun[2]
        inside = (reach > 0) & (at > start) & (at < end)
        dark = np.maximum(dark, inside * np.clip((height + 1.2 - reach * sun[1]) / 0.4, 0, 1))
    return dark
