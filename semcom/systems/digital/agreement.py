"""Shared configuration of transmitter and receiver of the digital system."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from channels.modem import scheme_header
from channels.modem.link_adaptation import Frame
from semcom.system import uses_for
from semcom.systems.digital.harq import Rounds

END = b"\x80"  # end marker of the file; zeros fill the rest of the payload


@dataclass(frozen=True)
class Agreement:
    """Build arguments that both ends know.

    Args:
        cbr: channel bandwidth ratio, complex channel uses per real number of the image.
        codec: image file format.
        frame: modulation and coding schemes that the header may select.
        rounds: division of the channel-use budget into header and HARQ rounds.
    """

    cbr: float
    codec: str
    frame: Frame
    rounds: Rounds

    def budget(self, size: tuple[int, int]) -> int:
        """Channel-use budget of an image of (height, width) pixels."""
        return uses_for(self.cbr, size)

    def payload_bytes(self, size: tuple[int, int], index: int) -> int:
        """Payload length of a scheme in the first round, bytes; 0 if nothing fits."""
        return self.frame.payload_bytes(self.rounds.first(self.budget(size)), index)

    def header_bits(self, index: int) -> UInt8[Tensor, " bits"]:
        """Header bits of a scheme; none for a fixed scheme."""
        if not self.frame.header_uses:
            return torch.zeros(0, dtype=torch.uint8)
        return scheme_header.to_bits(torch.tensor([index]))[0]
