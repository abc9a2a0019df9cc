"""Statistics over many realizations of fading: mean with its band, and outage probability."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from semcom.metrics import measure
from semcom.scenario.model import Point
from semcom.sweep.single import deliver_realizations, link_for
from semcom_demo import calls
from semcom_demo.memory import Memory
from semcom_demo.photos import Photo

REALIZATIONS = 50
METRICS = ("psnr", "ms_ssim")
_AT_ONCE = 10  # rows of a batch, which bounds the memory of networks


@dataclass(frozen=True)
class Spread:
    """Results over the realizations of a channel.

    Args:
        values: Value of each realization, by metric.
        outages: Number of realizations in outage; None if the receiver cannot detect one.
    """

    values: dict[str, tuple[float, ...]]
    outages: int | None

    @property
    def outage_probability(self) -> float | None:
        """Share of the realizations in outage."""
        return None if self.outages is None else self.outages / REALIZATIONS

    def mean(self, metric: str) -> float:
        """Mean over the realizations."""
        return sum(self.values[metric]) / len(self.values[metric])

    def band(self, metric: str) -> tuple[float, float]:
        """The 10 % and the 90 % quantile over the realizations."""
        low, high = torch.tensor(self.values[metric]).quantile(torch.tensor([0.1, 0.9])).tolist()
        return low, high


_memory: Memory[Spread] = Memory("spreads", most=2000, most_of_upload=500)


def spread(photo: Photo, point: Point) -> Spread:
    """Results over the first realizations of the channel, those of repetitions 0 to 49 of a scenario."""
    return _memory.get(photo, point, lambda: _computed(photo, point))


def _computed(photo: Photo, point: Point) -> Spread:
    link = link_for(point, calls.build_channel(point.channel), photo.image)
    values: dict[str, list[float]] = {name: [] for name in METRICS}
    outages: list[bool] = []
    for first in range(0, REALIZATIONS, _AT_ONCE):
        indices = range(first, first + _AT_ONCE)
        delivery = deliver_realizations(link, point, photo.image, indices, calls.device())
        for name in METRICS:
            values[name] += measure(name, delivery).tolist()  # type: ignore[union-attr]
        if delivery.reception.outage is not None:
            outages += delivery.reception.outage.tolist()
    return Spread({name: tuple(each) for name, each in values.items()}, sum(outages) if outages else None)
