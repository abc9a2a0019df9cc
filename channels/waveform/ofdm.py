"""OFDM in the payload of a frame, on the resource grid of the OFDM channels (`channels.propagation.ofdm.Grid`).

With x = [last P values of] W^H X, W the unitary DFT of N points, the receiver removes the prefix and has

    Y_k = H_k X_k + noise,    H_k = sum_m h_m e^(-j 2 pi k m / N),

as long as the response h of channel and pulses, at one value per symbol duration, fits into the prefix. The subcarriers
of the grid lie around the carrier, its guards at both edges of the band. Pilots between the OFDM symbols, preamble and
header are those of a single carrier, so that synchronization is the same.

Source: Proakis and Salehi, Digital Communications, 5th ed., section 13.6; single-carrier preamble and header before
OFDM: IEEE 802.11g, DSSS-OFDM.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from jaxtyping import Complex
from numpy.typing import NDArray
from torch import Tensor

from channels.propagation.ofdm import SYMBOLS, Grid
from channels.waveform import sequences
from channels.waveform.equalizer import ChannelEstimate
from channels.waveform.frame import Layout
from channels.waveform.pulse import Pulse

_ADVANCE = 3  # the DFT begins a third of the prefix before its end: paths before the strongest one, and tails of pulses


def grid_of(layout: Layout) -> Grid:
    """Resource grid of a layout that has one."""
    return cast("Grid", layout.grid)


def bins(layout: Layout) -> NDArray[np.int64]:
    """Place of each subcarrier of the grid in the DFT, int64 [grid subcarriers]: neighbors, around the carrier.

    Args:
        layout: layout of a frame with a resource grid.
    """
    return (np.arange(grid_of(layout).subcarriers) - grid_of(layout).subcarriers // 2) % layout.subcarriers


def advance(layout: Layout) -> int:
    """Number of values of the prefix that are in the DFT of the receiver."""
    return layout.prefix // _ADVANCE


def pilots(layout: Layout) -> Complex[Tensor, " pilots"]:
    """Pilots of a block in the order of `Grid.pilots`, of unit energy, complex64."""
    values = sequences.pilots(len(grid_of(layout).pilots))
    return torch.from_numpy((values / np.abs(values)).astype(np.complex64))


def modulate(symbols: Complex[Tensor, " payload"], layout: Layout) -> Complex[Tensor, " values"]:
    """OFDM symbols of a payload, one after the other; free resource elements of the last block carry pilots.

    Args:
        symbols: payload symbols of unit mean energy, complex64 [payload].
        layout: layout of a frame with a resource grid.

    Returns:
        Values of unit mean energy without guards, complex64 [blocks * 14 * (P + N)]; differentiable in the symbols.
    """
    grid, place = grid_of(layout), torch.from_numpy(bins(layout))
    free = torch.from_numpy(sequences.pilots(layout.block_payload)[: -len(symbols) % layout.block_payload])
    data = torch.cat([symbols, free.to(symbols)]).unflatten(0, (-1, layout.block_payload))
    elements = symbols.new_zeros(len(data), SYMBOLS, layout.subcarriers)
    elements[:, grid.pilots[:, 0], place[grid.pilots[:, 1]]] = pilots(layout).to(symbols.device)
    every = torch.arange(len(data))[:, None]
    elements = elements.index_put((every, grid.data[:, 0], place[grid.data[:, 1]]), data)
    values = torch.fft.ifft(elements, norm="ortho")
    return torch.cat([values[..., layout.subcarriers - layout.prefix :], values], -1).flatten()


def elements(values: Complex[Tensor, " values"], layout: Layout) -> Complex[Tensor, "blocks symbols subcarriers"]:
    """Y_k of each resource element of the grid, complex64 [blocks, 14, subcarriers].

    Args:
        values: received values, complex64 [blocks * 14 * (P + N)].
        layout: layout of a frame with a resource grid.
    """
    size, early, place = layout.subcarriers, advance(layout), bins(layout)
    start = layout.prefix - early
    symbols = values.unflatten(0, (-1, SYMBOLS, layout.section))[..., start : start + size]
    turns = np.exp(2j * np.pi * early * place / size).astype(np.complex64)
    return torch.fft.fft(symbols, norm="ortho")[..., place] * torch.from_numpy(turns).to(values.device)


def demodulate(values: Complex[Tensor, " values"], layout: Layout) -> Complex[Tensor, " data"]:
    """Y_k of the data, complex64 [blocks * data]: the inverse of `modulate` over a channel of one path."""
    return of_data(elements(values, layout), layout)


def of_data(grid: Tensor, layout: Layout) -> Tensor:
    """Values [blocks, 14, subcarriers] at the data in the order of their transmission."""
    place = grid_of(layout).data
    return grid[:, place[:, 0], place[:, 1]].flatten()


def of_pilots(grid: Tensor, layout: Layout) -> Tensor:
    """Values [blocks, 14, subcarriers] at the pilots, [blocks, symbols with pilots, pilots of each]."""
    place = grid_of(layout).pilots
    return grid[:, place[:, 0], place[:, 1]].unflatten(1, (grid_of(layout).pilot_symbols, -1))


def response(channel: ChannelEstimate, pulse: Pulse, layout: Layout) -> NDArray[np.complex128]:
    """H_k of an estimated channel, complex128 [grid subcarriers].

    Args:
        channel: channel estimate of the receiver.
        pulse: pulse of the symbols, which the matched filter has, too.
        layout: layout of a frame with a resource grid.
    """
    reach = pulse.span + int(np.abs(channel.delays).max())
    lags = np.arange(-reach, reach + 1)
    shape = pulse.autocorrelation(lags[:, None] - channel.delays / 2) @ channel.taps
    return np.asarray(np.exp(-2j * np.pi * bins(layout)[:, None] * lags / layout.subcarriers) @ shape)
