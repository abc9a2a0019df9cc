"""The header of an adaptive transmission: which scheme the rest was sent with, in few and robust uses.

Seven bits choose a word of the biorthogonal code of length 64 (first-order Reed-Muller), whose words differ in half of
their bits or in all. Two copies are sent as QPSK. The most likely word is decoded, with a union bound on its error of
127 Q(sqrt(64 SNR)): 4e-4 at -5 dB. It needs no check of its own: with the wrong scheme the payload's CRC fails.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Complex, Float, Int, UInt8
from torch import Tensor

from channels import modem

INDICES = 128
USES = 64
_LENGTH = INDICES // 2


def _words() -> UInt8[Tensor, "indices bits"]:
    """Word i is bit 0 of i everywhere, plus the parity of (i >> 1) & position; two copies."""
    index, position = np.arange(INDICES)[:, None], np.arange(_LENGTH)[None]
    common = (index >> 1) & position
    parity = np.zeros_like(common)
    for bit in range(_LENGTH.bit_length()):
        parity ^= common >> bit & 1
    return torch.from_numpy((parity ^ (index & 1)).astype(np.uint8)).repeat(1, 2)


def encode(indices: Int[Tensor, " rows"]) -> Complex[Tensor, "rows 64"]:
    """Scheme indices below 128 to QPSK symbols.

    >>> encode(torch.tensor([5])).shape
    torch.Size([1, 64])
    """
    return modem.map_bits(_words()[indices], 2)


def to_bits(indices: Int[Tensor, " rows"]) -> UInt8[Tensor, "rows 7"]:
    """The bits that a header stands for, most significant first.

    >>> to_bits(torch.tensor([5])).tolist()
    [[0, 0, 0, 0, 1, 0, 1]]
    """
    places = torch.arange(INDICES.bit_length() - 2, -1, -1)
    return (indices[:, None] >> places & 1).to(torch.uint8)


def decode(
    symbols: Complex[Tensor, "rows 64"], noise_var: Float[Tensor, "rows 64"], indices: int = INDICES
) -> Int[Tensor, " rows"]:
    """The most likely index below `indices` of each row.

    >>> decode(encode(torch.tensor([5, 127])), torch.ones(2, 64)).tolist()
    [5, 127]
    """
    llr = modem.demap(symbols, noise_var, 2)
    signs = 1 - 2 * _words()[:indices].to(llr.dtype)
    return (llr @ signs.T).argmax(1)
