"""The same results on every device: a channel or a system on a device, compared with the CPU."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels.base import Channel, Received
from channels.rng import Rng
from semcom.contract.channel_properties import transmit
from semcom.contract.common import NotApplicableError, difference
from semcom.contract.system_properties import Trial
from semcom.devices import moved
from semcom.metrics.fidelity import psnr

_SYMBOLS = 1e-4  # largest difference of received symbols, relative to those above 1
_PSNR_DB = 0.02


class OnDevice(Channel):
    """A channel on a device: its inputs are moved there, its results back.

    Args:
        channel: channel under test.
        device: kind of the device.
    """

    def __init__(self, channel: Channel, device: str) -> None:
        self.channel, self.device = channel, torch.device(device)
        self.medium, self.csit = channel.medium, channel.csit

    def carry(
        self,
        symbols: Complex[Tensor, "batch users uses"],
        uses: Int[Tensor, "batch users"],
        snr_db: Float[Tensor, "batch users"],
        rng: Rng,
    ) -> Received:
        received = self.channel.carry(symbols.to(self.device), uses.to(self.device), snr_db.to(self.device), rng)
        for name, value in vars(received).items():
            if isinstance(value, Tensor) and value.device.type != self.device.type:
                raise ValueError(f"{name} is on {value.device.type}, the symbols are on {self.device.type}")
        return moved(received, symbols.device)


def channel_agrees_with_the_cpu(channel: OnDevice) -> str | None:
    """Received symbols, gains and noise variances are those of the CPU, within 1e-4."""
    here, there = transmit(channel.channel)[1], transmit(channel)[1]
    pairs = ((here.symbols, there.symbols), (here.noise_var, there.noise_var), (here.gains, there.gains))
    return next((problem for pair in pairs if (problem := difference(*pair, _SYMBOLS))), None)


def system_agrees_with_the_cpu(trial: Trial) -> str | None:
    """Channel uses are those of the CPU, and the PSNR of each image within 0.02 dB."""
    here, there = replace(trial, device="cpu").send(trial.images), trial.send(trial.images)
    if not torch.equal(here.uses, there.uses):
        return f"{there.uses.tolist()} channel uses, {here.uses.tolist()} on the CPU"
    if here.reception.candidates is not None:
        raise NotApplicableError("the images are generated, and rounding may select another candidate")
    expected_db, found_db = (psnr(delivery.reception.images, trial.images) for delivery in (here, there))
    return difference(found_db, expected_db, _PSNR_DB, relative=False)
