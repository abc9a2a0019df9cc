"""A system whose networks are reduced at one end or at both."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from channels import awgn
from channels.errors import UsageError
from channels.rng import seed_for
from semcom.edge.blocks import keep_blocks
from semcom.edge.compensation import round_networks
from semcom.edge.low_rank import factorize
from semcom.images.sources import load
from semcom.link import Link
from semcom.scenario.edge import Edge, split_edge
from semcom.scenario.model import Variant
from semcom.system import Bound, Sample, System

_SIDE = 128  # pixels of a calibration image


def build_variant(variant: Variant, **budget: float) -> Any:
    """The system or channel of a variant, reduced as its arguments `edge.NAME` say.

    Args:
        variant: system or channel with its arguments.
        budget: channel-use budget of a system, as in `cbr=1 / 16`.
    """
    arguments, edge = split_edge(dict(variant.arguments))
    built = variant.entry.load()(**arguments, **budget)
    return built if edge is None else reduced(built, edge)


@torch.inference_mode(False)  # systems are cached and may be trained later
def reduced(system: System | Bound, edge: Edge) -> System:
    """A copy of a system with smaller networks; the networks of the given system are unchanged.

    Raises:
        UsageError: the end has no networks, or none that can be reduced so.

    >>> from semcom.systems import deepjscc
    >>> small = reduced(deepjscc.build(cbr=1 / 16, weights="none"), Edge(weight_bits=6, layers=0.5))
    >>> len(small.transmitter.encoder.coarse)
    1
    """
    if isinstance(system, Bound):
        raise UsageError(f"edge requires a system with networks; {system.name} is a bound")
    names = ("transmitter", "receiver") if edge.end == "both" else (edge.end,)
    ends = copy.deepcopy({name: getattr(system, name) for name in names})  # together, so that shared parts stay shared
    found: list[nn.Module] = []
    for name, end in ends.items():
        own = list(networks_of(end))
        if not own:
            raise UsageError(f"edge requires networks, and the {name} of {system.name} has none; remove edge")
        found += own
    distinct = list(dict.fromkeys(found))
    if edge.layers < 1 and not sum(keep_blocks(network, edge.layers) for network in distinct):
        raise UsageError(
            f"edge.layers {edge.layers:g} removes no block of {system.name}; choose a smaller share or none"
        )
    if edge.rank < 1 and not sum(factorize(network, edge.rank) for network in distinct):
        raise UsageError(f"edge.rank {edge.rank:g}: no layer of {system.name} gets smaller; choose a smaller share")
    found_system = replace(system, **ends, networks=(*system.networks, *distinct))
    if edge.weight_bits is not None:
        round_networks(distinct, edge.weight_bits, lambda: _transmit(found_system))
    return found_system


def _transmit(system: System) -> None:
    """Transmit the calibration images, two quarters of each embedded photograph, at 0 to 20 dB over AWGN."""
    height, width = system.transmitter.only_size or (_SIDE, _SIDE)
    photos = [image.pixels for image in load("photos", size=2 * max(height, width))]
    link = Link(system, awgn.build())
    for quarter in (slice(0, height), slice(0, width)), (slice(-height, None), slice(-width, None)):
        images = torch.stack([pixels[:, quarter[0], quarter[1]] for pixels in photos])
        rows = len(images)
        sample = Sample(images, captions=("a photograph",) * rows)
        link.deliver(sample, torch.linspace(0, 20, rows), [seed_for("calibration", row) for row in range(rows)])


def networks_of(part: object) -> Iterator[nn.Module]:
    """The networks that a transmitter or receiver consists of or holds, directly or in a part of it."""
    seen: set[int] = set()

    def visit(value: object) -> Iterator[nn.Module]:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, nn.Module):
            yield value
        elif isinstance(value, dict):
            for item in value.values():
                yield from visit(item)
        elif isinstance(value, list | tuple | set | frozenset):
            for item in value:
                yield from visit(item)
        elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
            yield from visit(vars(value))

    for network in visit(part):
        if any(True for _ in network.parameters()):
            yield network
