"""What DeepJSCC optimises: the PSNR of what arrives, at every SNR and at every rate up to the latent's."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from channels._base import noise_variance
from channels._errors import UsageError
from channels._rng import Rng
from semcom.system import Sample, uses_for
from semcom.systems.deepjscc.networks import STRIDE, condition
from semcom.systems.deepjscc.stream import from_symbols, symbol_snr, to_symbols
from semcom.systems.deepjscc.system import DeepJscc, system_of
from semcom.training_task import Phase, Send, Task

_TILES = (1, 4, 16)  # crops side by side in a row: its power is shared among them as among the parts of a large picture


def training(cbr: float = 1 / 16, share_at_cbr: float = 0.5) -> Task:
    """Train one network for all rates up to 1/8; validate at `cbr`.

    A `share_at_cbr` of the steps is at `cbr`, the others are at rates log-uniform between 1/96 and 1/8.
    """
    if not 1 / 96 <= cbr <= 1 / 8 or not 0 <= share_at_cbr <= 1:
        raise UsageError(
            f"cbr must lie within [1/96, 1/8] and share_at_cbr within [0, 1], not {cbr:g}, {share_at_cbr:g}"
        )
    network = DeepJscc()

    def losses(sample: Sample, snr_db: Float[Tensor, " rows"], send: Send, rng: Rng) -> dict[str, Tensor]:
        chosen, share, tiles = rng[:1].derive("rate").uniform(3)[0].tolist()
        rate = cbr if chosen < share_at_cbr else 1 / 96 * 12**share
        tiled = math.gcd(_TILES[int(tiles * len(_TILES))], len(snr_db))
        received = _through(network, sample.images, snr_db, send, rate, tiled)
        squared = (received - sample.images).square().mean((1, 2, 3)).view(-1, tiled).mean(1)
        return {"log_mse": (squared + 1e-4).log().mean()}  # the mean PSNR, level above 40 dB

    phases = (Phase("reconstruct", network, losses, muon=True),)
    return Task(network, phases, lambda: system_of(network, cbr), network.configuration)


def _through(
    network: DeepJscc, images: Tensor, snr_db: Tensor, send: Send, rate: float, tiles: int
) -> Float[Tensor, "crops 3 h w"]:
    """Send crops, `tiles` of them to a row and at the SNR of its first."""
    height, width = images.shape[-2:]
    if height % STRIDE or width % STRIDE:
        raise UsageError(f"crop and width must be multiples of {STRIDE} pixels, not {height} and {width}")
    shape = (network.latent, height // STRIDE, width // STRIDE * tiles)
    uses = uses_for(rate, (height, width * tiles))
    kept = 2 * uses / (shape[1] * shape[2])
    snr_db = snr_db.view(-1, tiles)[:, 0]

    average = torch.log1p(1 / noise_variance(snr_db)).repeat_interleave(tiles)
    latent = network.encoder(images, condition(average, kept, network.latent))
    row = latent.unflatten(0, (-1, tiles)).permute(0, 2, 3, 1, 4).flatten(3)
    received = send(to_symbols(row, uses), snr_db)
    values, snr = (
        part.unflatten(3, (tiles, -1)).permute(0, 3, 1, 2, 4).flatten(0, 1) for part in from_symbols(received, shape)
    )
    capacity = torch.log1p(symbol_snr(received)).mean(1).repeat_interleave(tiles)
    return network.decoder(values, snr, condition(capacity, kept, network.latent))
