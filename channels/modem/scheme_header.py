"""Header of an adaptive transmission: the index of the modulation and coding scheme of the payload, in 64 channel uses.

The index of 7 bits selects a code word of the biorthogonal code of length 64 (first-order Reed-Muller code), in which
two words differ in half of their bits or in all. Two copies are sent as QPSK. The most likely word is decoded; the
union bound of its error probability is 127 Q(sqrt(64 SNR)), 4e-4 at -5 dB. The header has no CRC, because the CRC of
the payload fails if the scheme is wrong.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int, UInt8
from torch import Tensor

from channels import modem
from channels.modem.bits import integers_to_bits

INDICES = 128
"""Number of schemes that a header can distinguish."""
USES = 64
"""Number of channel uses of a header."""
_LENGTH = INDICES // 2
_INDEX_BITS = 7


def _words() -> UInt8[Tensor, "indices bits"]:
    """Code words: bit `position` of word i is bit 0 of i plus the parity of (i >> 1) & position; two copies."""
    index, position = torch.arange(INDICES)[:, None], torch.arange(_LENGTH)
    parity = integers_to_bits(index >> 1 & position, _INDEX_BITS).sum(-1) & 1
    return (parity ^ index & 1).to(torch.uint8).repeat(1, 2)


def encode(indices: Int[Tensor, " rows"]) -> Complex[Tensor, "rows 64"]:
    """Encode scheme indices below 128 into QPSK symbols, complex64 [rows, 64].

    >>> encode(torch.tensor([5])).shape
    torch.Size([1, 64])
    """
    return modem.map_bits(_words().to(indices.device)[indices], 2)


def to_bits(indices: Int[Tensor, " rows"]) -> UInt8[Tensor, "rows 7"]:
    """Information bits of a header, most significant first, uint8 [rows, 7].

    >>> to_bits(torch.tensor([5])).tolist()
    [[0, 0, 0, 0, 1, 0, 1]]
    """
    return integers_to_bits(indices, _INDEX_BITS)


def decode(
    symbols: Complex[Tensor, "rows 64"], noise_var: Float[Tensor, "rows 64"], indices: int = INDICES
) -> Int[Tensor, " rows"]:
    """Decode the most likely index of each row.

    Args:
        symbols: received symbols, equalized without bias, complex64 [rows, 64].
        noise_var: noise variance of each symbol, float32 [rows, 64].
        indices: number of schemes in use; the decoded index is below it.

    Returns:
        Indices, int64 [rows].

    >>> decode(encode(torch.tensor([5, 127])), torch.ones(2, 64)).tolist()
    [5, 127]
    """
    llr = modem.demap(symbols, noise_var, 2)
    signs = 1 - 2 * _words()[:indices].to(llr)
    return (llr @ signs.T).argmax(1)
