"""Modulator: payload symbols to the samples of one or several frames."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor

from channels.waveform import header as headers
from channels.waveform import ofdm
from channels.waveform.frame import Layout
from channels.waveform.header import Header
from channels.waveform.pulse import scatter


def configuration(*shared: object) -> int:
    """First 16 bits of the SHA-256 of what both ends share; they are in the header of every frame.

    >>> configuration("digital", 0.0625) == configuration("digital", 0.0625)
    True
    """
    return int.from_bytes(hashlib.sha256(repr(shared).encode()).digest()[:2], "big")


def modulate(symbols: Complex[Tensor, " payload"], layout: Layout, header: Header) -> Complex[Tensor, " samples"]:
    """Samples of the frames of a transmission, one after the other.

    Each frame begins and ends with half the span of the pulse, in which its pulses rise and fall.

    Args:
        symbols: payload symbols of unit mean energy, complex64 [payload]; their number is `header.uses`.
        layout: layout of the frames.
        header: header of the first frame.

    Returns:
        Samples of mean power 1 / samples per symbol, complex64 [samples]; differentiable in the symbols.
    """
    rate, pulse = layout.pulse.samples_per_symbol, layout.pulse
    values, times, first, end = [], [], 0, 0
    for part, count in enumerate(layout.parts(header.uses)):
        coded = headers.encode(replace(header, part=part), layout.header)
        frame = torch.from_numpy(layout.skeleton(count, coded).astype(np.complex64)).to(symbols.device)
        payload = symbols[first : first + count]
        if layout.grid is not None:
            payload = ofdm.modulate(payload, layout)
        values.append(frame.index_put((torch.from_numpy(layout.data(count)),), payload))
        times.append(end + pulse.reach + rate * torch.arange(len(frame), dtype=torch.float64))
        first, end = first + count, end + (len(frame) - 1 + pulse.span) * rate + 1
    if not values:
        return symbols[:0]
    return scatter(torch.cat(values), torch.cat(times), pulse.table, end)
