"""Pictures to symbols and back."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from channels import modem
from channels._base import Received
from channels._rng import Rng
from semcom.system import Payload, Receiver, Reception, Sample, Transmitter
from semcom.systems._interleaver import interleaver
from semcom.systems.analog import header
from semcom.systems.analog.header import Header
from semcom.systems.analog.layout import Layout, layout_for


class AnalogTransmitter(Transmitter):
    """Sends the strongest coefficients, behind a header that describes them.

    Args:
        cbr: complex channel uses per real number of the picture.
        matched: gains are those for the average SNR; else SoftCast's.
    """

    def __init__(self, cbr: float, matched: bool) -> None:
        self.cbr = cbr
        self.matched = matched

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        layout, rows = layout_for(self.cbr, sample.size), len(sample.images)
        if layout is None:
            nothing = torch.zeros(rows, dtype=torch.int64)
            return Payload(torch.zeros(rows, 0, dtype=torch.complex64), nothing, nothing)
        # row by row in double precision: what is sent must not depend on the batch, not even by a rounding
        parts = [
            self._row(layout, pixels.double().cpu().numpy(), snr if self.matched else None)
            for pixels, snr in zip(sample.images, snr_db.tolist(), strict=True)
        ]
        headers = modem.encode(torch.stack([bits for bits, _ in parts]), header.MCS, layout.header_uses)
        symbols = torch.empty(rows, layout.uses, dtype=torch.complex64)
        symbols[:, interleaver(layout.uses)] = torch.cat([headers, torch.stack([stream for _, stream in parts])], 1)
        return Payload(
            symbols=symbols,
            uses=torch.full((rows,), layout.uses),
            digital_uses=torch.full((rows,), layout.header_uses),
        )

    def _row(
        self, layout: Layout, pixels: Float[np.ndarray, "3 h w"], snr_db: float | None
    ) -> tuple[Tensor, Complex[Tensor, " stream_uses"]]:
        """The bits of the header and the analogue symbols."""
        from scipy.fft import dctn

        coefficients = dctn(pixels - 0.5, norm="ortho")
        unscaled = Header(layout.levels(coefficients), scale=0, snr=header.quantised_snr(snr_db))
        sent = layout.sent(unscaled)
        values = coefficients.ravel()[sent.places] * np.sqrt(sent.squared_gains)
        energy = float(layout.stream_uses)
        scale = header.quantised_scale(energy / max(float(np.sum(values**2)), 1e-9))
        told = Header(unscaled.levels, scale, unscaled.snr)
        values *= math.sqrt(told.energy_factor)
        # The scale is rounded down and one symbol that the receiver ignores takes what energy is left: so the energy is
        # exact and so is the scale that the receiver is told. Only past the header's range is a picture sent weaker.
        values *= min(1.0, math.sqrt(energy / max(float(np.sum(values**2)), 1e-9)))
        stream = np.zeros(2 * layout.stream_uses)
        stream[0] = math.sqrt(max(energy - float(np.sum(values**2)), 0))
        stream[2 : 2 + len(values)] = values
        symbols = spread(torch.view_as_complex(torch.from_numpy(stream).view(-1, 2)))
        return torch.from_numpy(told.to_bits()), symbols.to(torch.complex64)


class AnalogReceiver(Receiver):
    """Estimates each coefficient linearly, given its variance and the noise; mid-grey without a header.

    Args:
        cbr: complex channel uses per real number of the picture.
    """

    def __init__(self, cbr: float) -> None:
        self.cbr = cbr

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        layout, rows = layout_for(self.cbr, size), len(received.symbols)
        images = torch.full((rows, 3, *size), 0.5)
        if layout is None:
            return Reception(images, received.uses, outage=torch.ones(rows, dtype=torch.bool))
        order = interleaver(layout.uses)
        symbols, noise_var = received.symbols.cpu()[:, order], received.noise_var.cpu()[:, order]
        head, body = slice(None, layout.header_uses), slice(layout.header_uses, None)
        found = modem.decode(symbols[:, head], noise_var[:, head], header.MCS, header.header_bits(layout.bands))
        for row in found.ok.nonzero().flatten().tolist():
            told = Header.from_bits(found.bits[row].numpy())
            images[row] = self._row(layout, told, symbols[row, body], noise_var[row, body])
        return Reception(images, received.uses, ~found.ok)

    def _row(
        self,
        layout: Layout,
        told: Header,
        symbols: Complex[Tensor, " stream_uses"],
        noise_var: Float[Tensor, " stream_uses"],
    ) -> Float[Tensor, "3 h w"]:
        from scipy.fft import idctn

        # Shrinking each symbol by d = 1 / (1 + noise_var) before the unitary transform is undone leaves every
        # coefficient with gain mean(d) and error variance mean(d) (1 - mean(d)).
        shrink = 1 / (1 + noise_var.double())
        gain = float(shrink.mean())
        stream = torch.view_as_real(gathered(symbols.to(torch.complex128) * shrink)).flatten().numpy() / gain
        error_var = 0.5 * (1 - gain) / gain
        sent = layout.sent(told)
        squared = sent.squared_gains * told.energy_factor
        weight = np.sqrt(squared) * sent.variances / (squared * sent.variances + error_var)
        coefficients = np.zeros(3 * math.prod(layout.size))
        coefficients[sent.places] = weight * stream[2 : 2 + len(weight)]
        picture = idctn(coefficients.reshape(3, *layout.size), norm="ortho") + 0.5
        return torch.from_numpy(picture).float().clamp(0, 1)


def spread(stream: Complex[Tensor, " uses"]) -> Complex[Tensor, " uses"]:
    """A unitary transform that gives each symbol on the air an equal part of each symbol of the stream.

    >>> float(spread(torch.tensor([3.0, 4j])).abs().square().sum().round(decimals=3))
    25.0
    """
    return torch.fft.fft(stream[_shuffled(len(stream))], norm="ortho")


def gathered(symbols: Complex[Tensor, " uses"]) -> Complex[Tensor, " uses"]:
    """Inverse of `spread`."""
    stream = torch.empty_like(symbols)
    stream[_shuffled(len(symbols))] = torch.fft.ifft(symbols, norm="ortho")
    return stream


@lru_cache(maxsize=8)
def _shuffled(uses: int) -> Int[Tensor, " uses"]:
    """A fixed random order, so that fades turn into noise that is white among the coefficients."""
    return torch.randperm(uses, generator=torch.Generator().manual_seed(uses))
