"""OFDM in the payload of a frame: each block is an inverse DFT of payload symbols behind a cyclic prefix.

With x = [last P values of] W^H X, W the unitary DFT of N points, the receiver removes the prefix and has

    Y_k = H_k X_k + noise,    H_k = sum_m h_m e^(-j 2 pi k m / N),

as long as the response h of channel and pulses, at one value per symbol duration, fits into the prefix. Pilots between
the blocks, preamble and header are those of a single carrier, so that synchronization is the same.

Source: Proakis and Salehi, Digital Communications, 5th ed., section 13.6; single-carrier preamble and header before
OFDM: IEEE 802.11g, DSSS-OFDM.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Complex
from numpy.typing import NDArray
from torch import Tensor

from channels.waveform import sequences
from channels.waveform.equalizer import ChannelEstimate
from channels.waveform.pulse import Pulse

_ADVANCE = 3  # the DFT begins a third of the prefix before its end: paths before the strongest one, and tails of pulses


def modulate(symbols: Complex[Tensor, " payload"], subcarriers: int, prefix: int) -> Complex[Tensor, " values"]:
    """OFDM symbols of a payload, one after the other; free subcarriers of the last one carry pilots.

    Args:
        symbols: payload symbols of unit mean energy, complex64 [payload].
        subcarriers: number N of subcarriers.
        prefix: length P of the cyclic prefix.

    Returns:
        Values of unit mean energy, complex64 [ceil(payload / N) * (P + N)]; differentiable in the symbols.

    >>> modulate(torch.ones(3, dtype=torch.complex64), 4, 2).shape
    torch.Size([6])
    """
    free = -len(symbols) % subcarriers
    pilots = torch.from_numpy(sequences.pilots(subcarriers)[:free].astype(np.complex64)).to(symbols.device)
    values = torch.fft.ifft(torch.cat([symbols, pilots]).unflatten(0, (-1, subcarriers)), norm="ortho")
    return torch.cat([values[:, subcarriers - prefix :], values], 1).flatten()


def demodulate(values: Complex[Tensor, " values"], subcarriers: int, prefix: int) -> Complex[Tensor, " carriers"]:
    """Y_k of each OFDM symbol, complex64 [blocks * N]: the inverse of `modulate` over a channel of one path.

    Args:
        values: received values, complex64 [blocks * (P + N)].
        subcarriers: number N of subcarriers.
        prefix: length P of the cyclic prefix.

    >>> symbols = torch.tensor([1, 1j, -1, -1j], dtype=torch.complex64)
    >>> demodulate(modulate(symbols, 4, 3), 4, 3).sub(symbols).abs().max().item() < 1e-6
    True
    """
    advance = prefix // _ADVANCE
    blocks = values.unflatten(0, (-1, prefix + subcarriers))[:, prefix - advance : prefix - advance + subcarriers]
    turns = np.exp(2j * np.pi * advance * np.arange(subcarriers) / subcarriers).astype(np.complex64)
    return (torch.fft.fft(blocks, norm="ortho") * torch.from_numpy(turns).to(values.device)).flatten()


def response(channel: ChannelEstimate, pulse: Pulse, subcarriers: int) -> NDArray[np.complex128]:
    """H_k of an estimated channel, complex128 [N].

    Args:
        channel: channel estimate of the receiver.
        pulse: pulse of the symbols, which the matched filter has, too.
        subcarriers: number N of subcarriers.
    """
    reach = pulse.span + int(np.abs(channel.delays).max())
    lags = np.arange(-reach, reach + 1)
    shape = pulse.autocorrelation(lags[:, None] - channel.delays / 2) @ channel.taps
    carriers = np.arange(subcarriers)
    return np.asarray(np.exp(-2j * np.pi * carriers[:, None] * lags / subcarriers) @ shape)
