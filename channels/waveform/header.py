"""Header of a frame: what depends on the transmission, in QPSK symbols of a fixed low code rate, with a CRC."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from channels import modem
from channels.arguments import within

_WIDTHS = (16, 21, 10, 8, 8, 12, 12)


@dataclass(frozen=True)
class Header:
    """Content of a header.

    Args:
        configuration: first 16 bits of the hash of what both ends share.
        uses: number of payload symbols of the whole transmission, all frames together, below 2^21.
        part: index of this frame in the transmission, below 2^10.
        number: index of the transmission in the recording, below 2^8.
        last: index of the last transmission of the recording, below 2^8.
        height: height of the image in pixels, below 2^12; 0 if the receiver knows it.
        width: width of the image in pixels, below 2^12; 0 if the receiver knows it.

    >>> header = Header(7, 1000, 0, 1, 3, 128, 192)
    >>> decode(torch.from_numpy(encode(header, 256).copy()), 0.5) == header
    True
    """

    configuration: int
    uses: int
    part: int = 0
    number: int = 0
    last: int = 0
    height: int = 0
    width: int = 0

    def __post_init__(self) -> None:
        names = ("configuration", "uses", "frame", "image number", "number of images", "height", "width")
        for name, value, width in zip(names, astuple(self), _WIDTHS, strict=True):
            within(name, value, 0, 2**width - 1)


@lru_cache(maxsize=64)
def encode(header: Header, symbols: int) -> NDArray[np.complex128]:
    """Encode a header into QPSK symbols, complex128 [symbols]; the array is shared and cannot be written."""
    bits = torch.cat(
        [modem.integers_to_bits(torch.tensor(v), w) for v, w in zip(astuple(header), _WIDTHS, strict=True)]
    )
    coded = modem.encode(bits, _mcs(symbols), symbols).numpy().astype(complex)
    coded.flags.writeable = False
    return coded


def decode(symbols: Tensor, noise_var: Tensor | float) -> Header | None:
    """Decode received header symbols; None if the CRC fails.

    Args:
        symbols: received symbols, equalized without bias, complex [symbols].
        noise_var: noise variance of each symbol, linear.
    """
    count = symbols.shape[-1]
    decoded = modem.decode(symbols.to(torch.complex64)[None], noise_var, _mcs(count), sum(_WIDTHS))
    if not bool(decoded.ok):
        return None
    text = "".join("01"[bit] for bit in decoded.bits[0].int().tolist())
    ends = list(accumulate(_WIDTHS))
    return Header(*(int(text[end - width : end], 2) for end, width in zip(ends, _WIDTHS, strict=True)))


def _mcs(symbols: int) -> modem.Mcs:
    return modem.Mcs(2, (sum(_WIDTHS) + 16) / (2 * symbols))
