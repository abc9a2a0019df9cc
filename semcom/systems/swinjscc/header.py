"""Header of a transmission: what the receiver of the published code is given without channel uses.

The scale of the latents is one of 128 steps, sent in 64 channel uses without a CRC (`channels.modem.scheme_header`):
it is decoded at lower SNRs than the image is of use. With rate adaptation, the selected channels follow as an
enumerative code, LDPC-coded with a CRC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from channels import modem
from channels.modem import scheme_header
from semcom.codecs.mask_positions import decode_masks, encode_masks, mask_code_bits, shortest_mask_code

MCS = modem.Mcs(bits_per_symbol=2, code_rate=0.25)
"""Modulation and code rate of the selected channels, decodable above about 0 dB, below the published SNRs."""
_LOWEST = -6.0  # log2 of the smallest scale
_STEPS = 10  # quantization steps per doubling of the scale; the error is 34 dB below the latents on average


@dataclass(frozen=True)
class Content:
    """Decoded header.

    Args:
        scale: root mean square of the latents.
        selected: whether a channel is sent.
        ok: whether the selected channels are decoded.
    """

    scale: Float[Tensor, " rows"]
    selected: Bool[Tensor, "rows latents"]
    ok: Bool[Tensor, " rows"]


@dataclass(frozen=True)
class Header:
    """Scale of the latents and, for rate adaptation, the selected channels.

    Args:
        latents: number of channels of the features.
        channels: number of selected channels; None for networks that send all.

    >>> Header(latents=96, channels=None).uses, Header(latents=320, channels=96).uses
    (64, 652)
    """

    latents: int
    channels: int | None

    @property
    def bits(self) -> int:
        """Bits of the selected channels."""
        if not self.channels:
            return 0
        return mask_code_bits(shortest_mask_code(self.latents, self.channels), self.latents, self.channels)

    @property
    def uses(self) -> int:
        """Channel uses, including the CRC."""
        return scheme_header.USES + (modem.transport_uses(self.bits, MCS) if self.bits else 0)

    def encode(
        self, scale: Float[Tensor, " rows"], selected: Bool[Tensor, "rows latents"] | None
    ) -> Complex[Tensor, "rows uses"]:
        """QPSK symbols of a scale and of `channels` selected channels, None for all."""
        step = ((scale.log2() - _LOWEST) * _STEPS).round().clamp(0, scheme_header.INDICES - 1)
        symbols = scheme_header.encode(step.long())
        if selected is None or not self.bits or self.channels is None:
            return symbols
        code = encode_masks(
            shortest_mask_code(self.latents, self.channels), selected.cpu().numpy(), masked=self.channels
        )
        bits = torch.from_numpy(np.ascontiguousarray(code)).to(symbols.device)
        return torch.cat([symbols, modem.encode(bits, MCS, self.uses - scheme_header.USES)], 1)

    def decode(self, symbols: Complex[Tensor, "rows uses"], noise_var: Float[Tensor, "rows uses"]) -> Content:
        """Decode received symbols; codewords that select another number of channels are refused."""
        first, rest = slice(scheme_header.USES), slice(scheme_header.USES, None)
        step = scheme_header.decode(symbols[:, first], noise_var[:, first])
        scale = torch.exp2(step / _STEPS + _LOWEST)
        if not self.bits or self.channels is None:
            everything = torch.ones(len(scale), self.latents, dtype=torch.bool, device=scale.device)
            return Content(scale, everything, everything[:, 0])
        found = modem.decode(symbols[:, rest], noise_var[:, rest], MCS, self.bits)
        code = shortest_mask_code(self.latents, self.channels)
        selected, valid = decode_masks(code, found.bits.cpu().numpy(), self.latents, self.channels)
        ok = found.ok & torch.from_numpy(valid).to(found.ok.device)
        return Content(scale, torch.from_numpy(selected).to(scale.device), ok)
