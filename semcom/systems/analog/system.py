"""Transmitter and receiver of the analog system."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from channels import modem
from channels.base import Received
from channels.modem.interleaver import interleaver
from channels.rng import Rng
from semcom.devices import moved
from semcom.system import Payload, Receiver, Reception, Sample, Transmitter
from semcom.systems.analog import header, stream
from semcom.systems.analog.header import Header
from semcom.systems.analog.layout import Layout, layout_for


class AnalogTransmitter(Transmitter):
    """Transmit a header and the strongest coefficients.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        matched: whether the gains are optimal for the average SNR; otherwise the SoftCast gains are used.
    """

    def __init__(self, cbr: float, matched: bool) -> None:
        self.cbr = cbr
        self.matched = matched

    def encode(self, sample: Sample, snr_db: Float[Tensor, " rows"], rng: Rng) -> Payload:
        layout, rows = layout_for(self.cbr, sample.size), len(sample.images)
        if layout is None:
            nothing = torch.zeros(rows, dtype=torch.int64)
            return Payload(torch.zeros(rows, 0, dtype=torch.complex64), nothing, nothing)
        # row by row in double precision, so that symbols do not depend on the batch, not even by rounding
        parts = [
            self._row(layout, pixels.cpu().to(torch.float64, copy=True).numpy(), snr if self.matched else None)
            for pixels, snr in zip(sample.images, snr_db.tolist(), strict=True)
        ]
        headers = modem.encode(torch.stack([bits for bits, _ in parts]), header.MCS, layout.header_uses)
        symbols = torch.empty(rows, layout.uses, dtype=torch.complex64)
        symbols[:, interleaver(layout.uses)] = torch.cat([headers, torch.stack([analog for _, analog in parts])], 1)
        return Payload(
            symbols=symbols,
            uses=torch.full((rows,), layout.uses),
            digital_uses=torch.full((rows,), layout.header_uses),
            parts={
                "header": torch.full((rows,), layout.header_uses),
                "data": torch.full((rows,), layout.stream_uses),
            },
        )

    def _row(
        self, layout: Layout, pixels: Float[np.ndarray, "3 h w"], snr_db: float | None
    ) -> tuple[Tensor, Complex[Tensor, " stream_uses"]]:
        """Header bits and analog symbols of one image; `pixels` are overwritten."""
        from scipy.fft import dctn

        pixels -= 0.5
        coefficients = dctn(pixels, norm="ortho", overwrite_x=True)
        unscaled = Header(layout.levels(coefficients), scale=0, snr=header.quantized_snr(snr_db))
        scale, symbols = stream.encode(coefficients.ravel(), layout.selection(unscaled), layout.stream_uses)
        return torch.from_numpy(Header(unscaled.levels, scale, unscaled.snr).to_bits()), symbols


class AnalogReceiver(Receiver):
    """Linear MMSE estimation of each coefficient; a mid-gray image if header decoding fails.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
    """

    def __init__(self, cbr: float) -> None:
        self.cbr = cbr

    def decode(self, received: Received, size: tuple[int, int], rng: Rng) -> Reception:
        layout, rows = layout_for(self.cbr, size), len(received.symbols)
        images = torch.full((rows, 3, *size), 0.5)
        if layout is None:
            return Reception(images, received.uses, outage=torch.ones(rows, dtype=torch.bool))
        symbols, noise_var = moved(received.ordered(torch.arange(rows), interleaver(layout.uses)), "cpu")
        head, body = slice(None, layout.header_uses), slice(layout.header_uses, None)
        found = modem.decode(symbols[:, head], noise_var[:, head], header.MCS, header.header_bits(layout.bands))
        for row in found.ok.nonzero().flatten().tolist():
            side_information = Header.from_bits(found.bits[row].numpy())
            images[row] = self._row(layout, side_information, symbols[row, body], noise_var[row, body])
        return Reception(images, received.uses, ~found.ok)

    def _row(
        self,
        layout: Layout,
        side_information: Header,
        symbols: Complex[Tensor, " stream_uses"],
        noise_var: Float[Tensor, " stream_uses"],
    ) -> Float[Tensor, "3 h w"]:
        from scipy.fft import idctn

        selection = layout.selection(side_information)
        coefficients = np.zeros(3 * math.prod(layout.size))
        coefficients[selection.places] = stream.decode(symbols, noise_var, selection, side_information.scale)
        image = idctn(coefficients.reshape(3, *layout.size), norm="ortho", overwrite_x=True)
        image += 0.5
        return torch.from_numpy(image).float().clamp_(0, 1)
