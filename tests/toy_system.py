"""A minimal user-defined system: uncoded transmission of the means of 8 x 8 pixels."""

import torch
from torch.nn import functional

from semcom.images.padding import crop, pad_to_multiple
from semcom.system import Payload, Receiver, Reception, Sample, System, Transmitter, uses_for


class MeansTransmitter(Transmitter):
    def __init__(self, cbr: float, block: int):
        self.cbr, self.block = cbr, block

    def encode(self, sample: Sample, snr_db, rng) -> Payload:
        budget = uses_for(self.cbr, sample.size)
        means = functional.avg_pool2d(pad_to_multiple(sample.images, self.block)[0], self.block)
        values = functional.pad(2 * means.flatten(1) - 1, (0, 2 * budget))[:, : 2 * budget]
        symbols = torch.view_as_complex(values.unflatten(1, (budget, 2)).contiguous()) + 1e-3
        symbols = symbols / symbols.abs().square().mean(1, keepdim=True).sqrt()
        uses = torch.full((len(symbols),), budget)
        return Payload(symbols, uses, torch.zeros_like(uses))


class MeansReceiver(Receiver):
    def __init__(self, block: int):
        self.block = block

    def decode(self, received, size, rng) -> Reception:
        height, width = -(-size[0] // self.block), -(-size[1] // self.block)
        values = torch.view_as_real(received.symbols).flatten(1)
        values = functional.pad(values, (0, 3 * height * width))[:, : 3 * height * width]
        means = ((values.unflatten(1, (3, height, width)) + 1) / 2).clamp(0, 1)
        images = crop(functional.interpolate(means, scale_factor=self.block), size)
        return Reception(images, received.uses, outage=received.noise_var.mean(1) > 0.5)


def build(cbr: float, block: int = 8, note: str | None = None) -> System:
    """Uncoded transmission of the means of blocks of pixels.

    Args:
        block: side of a block in pixels.
        note: text without effect.
    """
    return System("toy_system", "", MeansTransmitter(cbr, block), MeansReceiver(block), "the side of a block", cbr=cbr)
