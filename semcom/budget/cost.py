"""Cost of one transmission at the transmitter and at the receiver."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from channels.base import Channel, Received
from channels.errors import UsageError
from channels.rng import Rng
from semcom import cache
from semcom.link import Delivery, Link
from semcom.system import Bound, Payload, Receiver, Reception, Sample, System, Transmitter

if TYPE_CHECKING:
    from semcom.budget.meter import Meter


@dataclass(frozen=True)
class EndCost:
    """What one end of a link computes for one transmission.

    Args:
        flops: floating-point operations of matrix products, convolutions and attention; two for a multiplication with
            addition. 0 for an end that computes outside torch, such as the coders of image files.
        parameters: number of parameters used, each once.
        parameter_bytes: memory of these parameters.
        peak_bytes: largest memory of intermediate tensors.
        cpu_s: processor time in seconds, after a first transmission, without cached results; the best of three.
        encodings: encoder calls of the search for an image file that fits, 0 without one.
        flops_by_module: operations of each network and of the layers directly below it.
        uncounted: computation that `flops` does not include and `cpu_s` does, as in "channel code".
    """

    flops: int
    parameters: int
    parameter_bytes: int
    peak_bytes: int
    cpu_s: float
    encodings: int
    flops_by_module: Mapping[str, int]
    uncounted: tuple[str, ...] = ()

    @property
    def is_counted(self) -> bool:
        """Whether networks compute; the work of coders of image files and of channel codes is in `cpu_s` alone."""
        return self.parameters > 0


@dataclass(frozen=True)
class Cost:
    """Cost of one transmission.

    Args:
        transmitter: cost of `Transmitter.encode`.
        receiver: cost of `Receiver.decode`.
        channel_uses: counted channel uses of the transmission.
        energy: transmitted energy in units of one symbol's mean energy.
    """

    transmitter: EndCost
    receiver: EndCost
    channel_uses: int
    energy: float


Around = Callable[[Callable[[], Any]], Any]
"""Function that calls its argument, measures the call and returns the result."""


class _MeteredTransmitter(Transmitter):
    """A transmitter whose `encode` runs inside `around`."""

    def __init__(self, inner: Transmitter, around: Around) -> None:
        self.inner, self.around, self.only_size = inner, around, inner.only_size

    def encode(self, sample: Sample, snr_db: Tensor, rng: Rng) -> Payload:
        payload: Payload = self.around(lambda: self.inner.encode(sample, snr_db, rng))
        return payload


class _MeteredReceiver(Receiver):
    """A receiver whose `decode` runs inside `around`."""

    def __init__(self, inner: Receiver, around: Around) -> None:
        self.inner, self.around = inner, around

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        reception: Reception = self.around(lambda: self.inner.decode(received, size, rng))
        return reception


def measure_cost(
    system: System | Bound, channel: Channel, sample: Sample, snr_db: float, seed: int = 1, repetitions: int = 3
) -> Cost:
    """Transmit a sample and count what each end computes.

    The number of operations is that of `torch.utils.flop_counter`. Run it with one thread (`semcom.threads.limit`) for
    processor times that can be compared.

    Args:
        system: system to measure.
        channel: channel between the ends; its computation is not counted.
        sample: images, transmitted together.
        snr_db: SNR in dB.
        seed: seed of the random draws.
        repetitions: number of transmissions whose shortest processor time is reported; 0 leaves it out (NaN).

    Raises:
        UsageError: the system is a bound, which transmits nothing.

    >>> from channels import awgn
    >>> from semcom.systems import deepjscc
    >>> image = Sample(torch.zeros(1, 3, 64, 64))
    >>> cost = measure_cost(deepjscc.build(cbr=1 / 16), awgn.build(), image, 10.0)
    >>> cost.channel_uses, cost.receiver.flops > cost.transmitter.flops > 1e8
    (768, True)
    """
    if isinstance(system, Bound):
        raise UsageError(f"{system.name} is a bound: it transmits nothing, so that it has no cost")
    from semcom.budget.meter import Meter  # its counter imports triton, where it is installed

    ends = ("transmitter", "receiver")
    meters: dict[str, Meter] = {}
    encodings: dict[str, int] = {}
    seconds: dict[str, float] = {}
    digital_uses: list[int] = []

    def counted(end: str) -> Around:
        def around(run: Callable[[], Any]) -> Any:
            results: dict[str, bytes] = {}
            with cache.in_memory(results), Meter() as meters[end]:
                found = run()
            encodings[end] = len(results)
            if isinstance(found, Payload):
                digital_uses.append(int(found.digital_uses.sum()))
            return found

        return around

    def timed(end: str) -> Around:
        def around(run: Callable[[], Any]) -> Any:
            with cache.in_memory({}):
                start = time.process_time()
                found = run()
                seconds[end] = min(seconds.get(end, float("inf")), time.process_time() - start)
            return found

        return around

    with torch.no_grad():
        delivery = _deliver(system, channel, sample, snr_db, seed, counted)
        for _ in range(repetitions):
            _deliver(system, channel, sample, snr_db, seed, timed)
    transmitter, receiver = (
        EndCost(
            meters[end].flops,
            meters[end].parameters,
            meters[end].parameter_bytes,
            meters[end].peak_bytes,
            seconds.get(end, float("nan")),
            encodings[end],
            meters[end].flops_by_module,
            _uncounted(meters[end].parameters > 0, encodings["transmitter"] > 0, digital_uses[0] > 0),
        )
        for end in ends
    )
    energy = 0.0 if delivery.energy is None else float(delivery.energy.sum())
    return Cost(transmitter, receiver, int(delivery.uses.sum()), energy)


def _uncounted(network: bool, image_file: bool, bits: bool) -> tuple[str, ...]:
    """What runs outside torch at an end, by whether there are a network, an image file and coded bits."""
    found = {"no torch network": not network, "image file": image_file, "coding of bits": bits}
    return tuple(name for name, applies in found.items() if applies)


def _deliver(
    system: System,
    channel: Channel,
    sample: Sample,
    snr_db: float,
    seed: int,
    around: Callable[[str], Around],
) -> Delivery:
    link = Link(replace(system, receiver=_MeteredReceiver(system.receiver, around("receiver"))), channel)
    assert link.transmitter is not None  # the system is no bound
    link.transmitter = _MeteredTransmitter(link.transmitter, around("transmitter"))
    return link.deliver(sample, snr_db, [seed] * len(sample.images))
